// Bugs that others have had, put into the daemon's money to see whether the auditor sees them. The
// daemon's sources know nothing of it: the linker leads the calls of this one program through here
// (--wrap, see CMakeLists.txt), and as long as nothing is planted they are passed on. Set once,
// before any thread or engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::money {

[[nodiscard]] std::vector<std::string> plant_names();  // "nothing" first
void plant(const std::string& name);
// How many this process made; counting the rows would cost more the longer a world lives.
[[nodiscard]] std::int64_t postings_made();

}  // namespace gatehouse::money
