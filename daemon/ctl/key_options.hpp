// The words of keys, cabinets and tickets on the command line; each option has the name of the
// body's field. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

using Verb = int (*)(const Options&);
void add_key_verbs(CLI::App& app, Options& options, const std::function<void(Verb)>& choose);

}  // namespace gatehouse::ctl
