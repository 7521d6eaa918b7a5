// The sections of gatehouse.toml, one function each. For config.cpp and its neighbours alone.
#pragma once

#include <string>

#include "daemon/config/config.hpp"
#include "daemon/config/toml_reader.hpp"

namespace gatehouse::config {

struct Reading {
    Config& config;
    toml_reader::Report& report;
    std::string folder;  // of the configuration; relative files are taken from it
    FileCheck check = FileCheck::skip;
};

// [alerts] and its tables by service and use.
void read_alerts(toml_reader::Section& root, Reading& reading);
// [[bus]] and [[cabinet]].
void read_buses(toml_reader::Section& root, Reading& reading);
void read_cabinets(toml_reader::Section& root, Reading& reading);
// [mqtt] and [http].
void read_mqtt(toml_reader::Section& root, Reading& reading);
void read_http(toml_reader::Section& root, Reading& reading);

// A duration from `least` to `most`; absent: nothing.
std::optional<std::int64_t> duration(toml_reader::Section& section, std::string_view key,
                                     std::int64_t least_ms, std::int64_t most_ms);
// The path of a file, made whole; readable where the check asks for it. Empty counts as absent.
std::string file_path(toml_reader::Section& section, std::string_view key, Reading& reading);
// `a-z A-Z 0-9 . _ -`, 64 at most; a problem otherwise.
bool check_identifier(toml_reader::Section& section, std::string_view key,
                      const std::string& value);

}  // namespace gatehouse::config
