#include "daemon/config/config.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "daemon/config/reader.hpp"
#include "daemon/config/site_data.hpp"
#include "daemon/config/toml_reader.hpp"
#include "daemon/core/key_watch.hpp"

namespace gatehouse::config {

using toml_reader::Report;
using toml_reader::Section;

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kIdentifierMax = 64;
constexpr std::size_t kNameMax = 256;

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

void read_schema(Section& root) {
    if (root.find("schema") == nullptr) {
        root.missing("schema", "write schema = 1 as the first line");
        return;
    }
    const auto schema = root.integer("schema", 0, 1'000'000);
    if (schema && *schema != 1) {
        root.problem("schema",
                     "schema is " + std::to_string(*schema) + "; this program reads schema 1");
    }
}

void read_site_id(Section& site, Config& config) {
    const auto id = site.required_text("id");
    if (!id) {
        return;
    }
    config.site.id = *id;
    const bool good = !id->empty() && id->size() <= kIdentifierMax &&
                      std::all_of(id->begin(), id->end(),
                                  [](char c) { return is_lower_or_digit(c) || c == '-'; });
    if (!good) {
        site.problem(
            "id", "site.id is '" + *id + "'; it stands in topics: 1 to 64 characters of a-z 0-9 -");
    }
}

void read_site(Section& root, Reading& reading) {
    Config& config = reading.config;
    const auto* table = root.table("site");
    if (table == nullptr) {
        if (!root.has("site")) {
            root.missing("[site]", "it needs at least id and timezone");
        }
        return;
    }
    Section site(*table, "site", root.at("site"), reading.report);
    read_site_id(site, config);
    config.site.name = site.text("name").value_or(config.site.id);
    if (config.site.name.size() > kNameMax) {
        site.problem("name", "site.name has " + std::to_string(config.site.name.size()) +
                                 " bytes; at most 256 are taken");
    }
    if (const auto zone = site.required_text("timezone")) {
        config.site.timezone = *zone;
        if (const auto problem = timezone_problem(*zone); !problem.empty()) {
            site.problem("timezone", "site.timezone: " + problem);
        }
    }
    if (const auto currency = site.text("currency")) {
        config.site.currency = *currency;
        if (const auto problem = currency_problem(*currency); !problem.empty()) {
            site.problem("currency", "site.currency: " + problem);
        }
    }
    if (const auto language = site.choice("language", {"zh-CN", "en"})) {
        config.site.language = *language == 0 ? Language::zh_cn : Language::en;
    }
    site.finish();
}

// The folder is systemd's to make, or the operator's; the database alone is made by the daemon.
void check_store_folder(Section& store, const Reading& reading) {
    const Config& config = reading.config;
    const std::string path =
        database_path(config, state_directory(config, std::getenv("STATE_DIRECTORY")));
    std::filesystem::path folder = std::filesystem::path(path).parent_path();
    if (folder.empty()) folder = ".";
    const std::string what = "store.path: the folder '" + folder.string() + "' of the database ";
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
        store.problem("path", "store.path: '" + path + "' is a folder, not a file; name the file " +
                                  "in it, such as gatehouse.db");
    } else if (!std::filesystem::is_directory(folder, error)) {
        store.problem("path", what + "does not exist; make it, or name another one");
    } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
        store.problem("path", what + "cannot be written by this user; give it to the daemon's");
    }
}

void read_store(Section& root, Reading& reading) {
    const auto* table = root.table("store");
    if (table == nullptr) {
        return;
    }
    Section store(*table, "store", root.at("store"), reading.report);
    if (const auto path = store.text("path")) {
        reading.config.store.path = *path;
        const std::string name = std::filesystem::path(*path).filename().string();
        if (name.empty() || name == "." || name == "..") {
            store.problem("path", "store.path is '" + *path + "'; it must name a file");
        } else if (reading.check == FileCheck::readable) {
            check_store_folder(store, reading);
        }
    }
    if (const auto interval = duration(store, "store_interval", 1'000, kDayMs)) {
        reading.config.store.store_interval_ms = *interval;
        if (kDayMs % *interval != 0) {
            store.problem("store_interval",
                          "store.store_interval must divide a day evenly, such as 15m or 1h: "
                          "readings are kept at aligned times");
        }
    }
    store.finish();
}

void read_time(Section& root, Reading& reading) {
    const auto* table = root.table("time");
    if (table == nullptr) {
        return;
    }
    Section time(*table, "time", root.at("time"), reading.report);
    if (const auto trust = time.choice("trust", {"auto", "system", "manual"})) {
        reading.config.trust = static_cast<ClockTrust>(*trust);
    }
    time.finish();
}

void read_profiles(Section& root, Reading& reading) {
    const auto* table = root.table("profiles");
    if (table == nullptr) {
        return;
    }
    Section profiles(*table, "profiles", root.at("profiles"), reading.report);
    reading.config.profiles_path = file_path(profiles, "path", reading);
    reading.config.profiles_line = profiles.at("path").line;
    reading.config.profiles_column = profiles.at("path").column;
    profiles.finish();
}

void read_keys(Section& root, Reading& reading) {
    const auto* table = root.table("keys");
    if (table == nullptr) return;
    Section keys(*table, "keys", root.at("keys"), reading.report);
    KeySettings& out = reading.config.keys;
    if (const auto text = keys.text("curfew")) {
        const auto minute = toml_reader::parse_clock(*text, /*midnight_end=*/false);
        if (minute)
            out.curfew_minute = *minute;
        else
            keys.problem("curfew", "keys.curfew is '" + *text + "'; write a time, such as 18:00");
    }
    out.max_hold_ms =
        duration(keys, "max_hold", 60'000, 31 * 86'400'000LL).value_or(out.max_hold_ms);
    const std::vector<std::string>& codes = key_alert_codes();
    if (const toml::array* list = keys.array("alerts", codes.size())) {
        for (const auto& node : *list) {
            const auto code = node.value<std::string>();
            if (code && std::find(codes.begin(), codes.end(), *code) != codes.end())
                out.alerts.push_back(*code);
            else
                keys.problem("alerts", "keys.alerts names '" + code.value_or("?") +
                                           "', which is no alert of keys" +
                                           toml_reader::did_you_mean(code.value_or(""), codes));
        }
    }
    keys.finish();
}

}  // namespace

std::optional<std::int64_t> duration(Section& section, std::string_view key, std::int64_t least_ms,
                                     std::int64_t most_ms) {
    const auto text = section.text(key);
    if (!text) {
        return std::nullopt;
    }
    const auto ms = toml_reader::parse_duration(*text);
    if (!ms) {
        section.problem(key, section.path(key) + " is '" + *text +
                                 "'; write a whole number and ms, s, m or h, such as \"250ms\"");
        return std::nullopt;
    }
    if (*ms < least_ms || *ms > most_ms) {
        section.problem(key, section.path(key) + " is '" + *text + "'; it must be from " +
                                 toml_reader::format_duration(least_ms) + " to " +
                                 toml_reader::format_duration(most_ms));
        return std::nullopt;
    }
    return ms;
}

std::string file_path(Section& section, std::string_view key, Reading& reading) {
    const auto text = section.text(key);
    if (!text || text->empty()) {
        return {};
    }
    const std::string whole = text->front() == '/' ? *text : reading.folder + "/" + *text;
    if (reading.check == FileCheck::readable) {
        std::error_code error;
        const auto status = std::filesystem::status(whole, error);
        const bool folder = std::filesystem::is_directory(status);
        const bool wants_folder = section.path(key) == "profiles.path";
        if (!std::filesystem::exists(status)) {
            // A folder for the technician's own profiles that nobody made yet holds none, which
            // --check-config warns of.
            if (!wants_folder)
                section.problem(key, section.path(key) + ": '" + whole + "' does not exist");
        } else if (folder != wants_folder) {
            section.problem(key, section.path(key) + ": '" + whole + "' is " +
                                     (folder ? "a folder, not a file" : "a file, not a folder"));
        } else if (!folder && !std::ifstream(whole, std::ios::binary)) {
            section.problem(key,
                            section.path(key) + ": '" + whole + "' cannot be read by this user");
        }
    }
    return whole;
}

bool check_identifier(Section& section, std::string_view key, const std::string& value) {
    const bool good = !value.empty() && value.size() <= kIdentifierMax &&
                      std::all_of(value.begin(), value.end(), [](char c) {
                          return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' ||
                                 c == '_' || c == '-';
                      });
    if (!good) {
        section.problem(key, section.path(key) + " is '" + value +
                                 "'; identifiers are 1 to 64 characters of a-z A-Z 0-9 . _ -");
    }
    return good;
}

Loaded parse(const std::string& text, const std::string& file_name, FileCheck check) {
    Loaded out;
    out.config.file = file_name;
    Report report(file_name);
    const auto document = toml_reader::parse(text, report);
    if (document) {
        auto folder = std::filesystem::path(file_name).parent_path().string();
        Reading reading{out.config, report, folder.empty() ? "." : folder, check};
        Section root(*document, "", {1, 1}, report);
        read_schema(root);
        read_site(root, reading);
        read_store(root, reading);
        read_time(root, reading);
        read_mqtt(root, reading);
        read_http(root, reading);
        read_alerts(root, reading);
        read_profiles(root, reading);
        read_keys(root, reading);
        read_buses(root, reading);
        read_cabinets(root, reading);
        root.finish();
    }
    out.problems = report.take();
    return out;
}

Loaded load(const std::string& path, FileCheck check) {
    std::error_code error;
    std::ifstream in(path, std::ios::binary);
    if (!in || std::filesystem::is_directory(path, error)) {
        Loaded out;
        out.config.file = path;
        out.problems.push_back({path, 0, 0,
                                std::filesystem::exists(path, error)
                                    ? "cannot be read by this user, or is no file"
                                    : "does not exist; name the configuration with --config FILE"});
        return out;
    }
    // One byte more than is taken is enough to refuse a file that is too large.
    std::string text(toml_reader::kTomlBytesMax + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return parse(text, path, check);
}

std::string state_directory(const Config& config, const char* state_directory_env) {
    if (state_directory_env != nullptr && *state_directory_env != '\0') {
        const std::string_view all(state_directory_env);
        return std::string(all.substr(0, all.find(':')));
    }
    const auto folder = std::filesystem::path(config.file).parent_path().string();
    return folder.empty() ? "." : folder;
}

std::string database_path(const Config& config, const std::string& state_directory) {
    return (std::filesystem::path(state_directory) / config.store.path).string();
}

}  // namespace gatehouse::config
