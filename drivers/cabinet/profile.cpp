#include "drivers/cabinet/profile.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "daemon/core/text.hpp"

namespace gatehouse::cabinet {
namespace {

constexpr std::uintmax_t kFileBytesMax = 256 * 1024;
constexpr std::size_t kFilesMax = 200;

std::optional<std::string> read_file(const std::filesystem::path& path, std::string& reason) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error) {
        reason = "cannot read it: " + error.message();
        return std::nullopt;
    }
    if (size > kFileBytesMax) {
        reason = "it is larger than 256 KiB, which no profile is";
        return std::nullopt;
    }
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    if (stream) return text.str();
    reason = "cannot read it";
    return std::nullopt;
}

void load_file(CabinetProfileTable& table, const std::filesystem::path& path) {
    const std::string id = path.stem().string();
    if (table.profiles.erase(id) + table.broken.erase(id) != 0)
        table.notes.push_back({path.string(), 0, 0, "it stands for the installed profile " + id});
    std::string reason;
    ParsedCabinetProfile parsed;
    if (const auto text = read_file(path, reason)) {
        parsed = parse_cabinet_profile(*text, path.string());
        if (parsed.profile && parsed.profile->id != id)
            parsed.problems.push_back(
                {path.string(), 1, 1,
                 "the file must be named as its id: " + parsed.profile->id + ".toml"});
    } else {
        parsed.problems.push_back({path.string(), 0, 0, reason});
    }
    if (parsed.problems.empty()) {
        table.profiles[id] = parsed.profile;
        return;
    }
    table.broken[id] = to_string(parsed.problems.front());
    std::move(parsed.problems.begin(), parsed.problems.end(), std::back_inserter(table.problems));
}

}  // namespace

std::string describe(const KeyEvent& event) {
    std::string text = event.word;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) text += std::string(" ") + name + "=" + value;
    };
    add("slot", event.slot ? std::to_string(*event.slot) : "");
    add("door", event.door ? std::to_string(*event.door) : "");
    add("detail", event.detail);
    if (!event.begins) text += " ends";
    add("card", event.card);
    add("tag", event.tag);
    if (event.type == KeyEventType::inventory) {
        std::string slots;
        for (const int slot : event.present)
            slots += (slots.empty() ? "" : ",") + std::to_string(slot);
        add("present", slots.empty() ? "none" : slots);
    }
    if (event.through != 0)
        add("lost", std::to_string(event.from) + "-" + std::to_string(event.through));
    add("seq", std::to_string(event.id.seq));
    add("at", std::to_string(event.at));
    return text;
}

std::shared_ptr<const CabinetProfile> CabinetProfileTable::find(const std::string& id,
                                                                std::string* reason) const {
    if (const auto found = profiles.find(id); found != profiles.end()) return found->second;
    if (reason == nullptr) return nullptr;
    if (const auto found = broken.find(id); found != broken.end()) {
        *reason = "profile " + id + " is broken: " + found->second;
        return nullptr;
    }
    std::vector<std::string> names;
    for (const auto& [name, profile] : profiles) names.push_back(name);
    const auto near = nearest(id, names);
    *reason = "no cabinet profile is named \"" + id + "\"" +
              (near ? "; did you mean \"" + *near + "\"?" : "");
    return nullptr;
}

CabinetProfileTable load_cabinet_profiles(const std::vector<std::string>& folders) {
    CabinetProfileTable table;
    for (const std::string& folder : folders) {
        std::error_code error;
        std::vector<std::filesystem::path> files;
        for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
             entry.increment(error)) {
            if (entry->path().extension() == ".toml") files.push_back(entry->path());
        }
        if (error && (&folder == &folders.front() || error != std::errc::no_such_file_or_directory))
            table.problems.push_back({folder, 0, 0, "cannot read the folder: " + error.message()});
        std::sort(files.begin(), files.end());
        if (files.size() > kFilesMax) {
            table.problems.push_back({folder, 0, 0, "more than 200 profiles; the rest is left"});
            files.resize(kFilesMax);
        }
        for (const std::filesystem::path& file : files) load_file(table, file);
    }
    return table;
}

}  // namespace gatehouse::cabinet
