// The composition root: builds every part of the running daemon, starts them in order, tells
// systemd how it goes, and stops them in order. It decides nothing; each part decides its own.
// Main thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace gatehouse {

// Runs until SIGTERM or SIGINT. Returns the exit code.
[[nodiscard]] int run_service(const config::Config& config);

// --dry-run: polls every meter of the stored registry once, writes nothing, prints what came.
[[nodiscard]] int run_dry(const config::Config& config);
// --check-config: says what is wrong with the file's own words, and with the profiles that it names
// beside that. A profile file that is broken disables the meters that use it, and a folder of the
// technician's own that nobody made yet holds none, which are warnings; a cabinet that no profile
// fits is a mistake of the configuration. The exit code.
[[nodiscard]] int run_check(const config::Loaded& loaded, const std::string& file);

// The shipped profiles (beside the program or installed) and the technician's own.
[[nodiscard]] std::vector<std::string> profile_folders(const config::Config& config);

}  // namespace gatehouse
