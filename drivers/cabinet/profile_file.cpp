// The files of drivers/cabinets: their keys, what they may hold, and their vectors.
#include <toml++/toml.h>

#include <algorithm>
#include <utility>

#include "drivers/cabinet/contacts.hpp"
#include "drivers/cabinet/kcm.hpp"
#include "drivers/cabinet/profile.hpp"
#include "drivers/modbus/profile_reader.hpp"

namespace gatehouse::cabinet {
namespace {

constexpr int kInputsMax = 256, kSlotMax = 9'999, kAddressMax = 0xFFFF;

// "1111 0000" as levels, the first input first.
std::optional<std::vector<bool>> parse_levels(const std::string& text) {
    std::vector<bool> levels;
    for (const char c : text) {
        if (c == ' ') continue;
        if (c != '0' && c != '1') return std::nullopt;
        levels.push_back(c == '1');
    }
    return levels;
}

class FileReader {
  public:
    FileReader(const std::string& file, std::vector<Problem>& problems) : reader_(file, problems) {
        profile_->file = file;
    }

    std::shared_ptr<CabinetProfile> read(const toml::table& root) {
        reader_.check_keys(root, {"schema", "id", "maker", "model", "source", "map", "kind",
                                  "poll_interval_ms", "inputs", "types", "results", "test"});
        if (reader_.number(root, "schema", 1, 1, 0) != 1)
            reader_.problem(root, "\"schema\" must be 1");
        profile_->id = reader_.text(root, "id", true);
        profile_->maker = reader_.text(root, "maker", true);
        profile_->model = reader_.text(root, "model", true);
        profile_->source = reader_.text(root, "source", true);
        profile_->map = reader_.word<MapStatus>(root, "map",
                                                {{"checked", MapStatus::checked},
                                                 {"document", MapStatus::document},
                                                 {"conflict", MapStatus::conflict}},
                                                MapStatus::document, true);
        profile_->kind = reader_.word<CabinetKind>(
            root, "kind", {{"kcm", CabinetKind::kcm}, {"contacts", CabinetKind::contacts}},
            CabinetKind::contacts, true);
        profile_->poll_interval_ms = reader_.number(root, "poll_interval_ms", 50, 60'000, 250);
        const bool board = profile_->kind == CabinetKind::kcm;
        for (const char* key : {"types", "results"})
            if (!board && root.contains(key))
                reader_.problem(*root.get(key), std::string("contacts have no [") + key + "]");
        if (board && root.contains("inputs"))
            reader_.problem(*root.get("inputs"), "a board of kind \"kcm\" has its own inputs");
        if (board) {
            read_types(root);
            read_results(root);
        } else {
            read_inputs(root);
        }
        for (const toml::table* test : reader_.tables(root, "test")) read_test(*test);
        if (profile_->tests.empty()) reader_.problem(root, "it has no [[test]]");
        return profile_;
    }

  private:
    // "1" = "key.removed".
    void read_types(const toml::table& root) {
        const toml::table* types = reader_.table(root, "types");
        if (types == nullptr) return reader_.problem(root, "[types] is missing");
        for (const auto& [key, node] : *types) {
            const auto code = modbus::parse_number(key.str());
            const auto word = node.value_exact<std::string>().value_or("");
            const KeyEventType type = parse_key_event_type(word);
            if (!code || *code < 0 || *code > 0xFFFF) {
                reader_.problem(node, "a code is a whole number up to 65535");
            } else if (type == KeyEventType::vendor) {
                reader_.problem(node, "\"" + word + "\" is no type of event");
            } else {
                // A badge and its session are of the door that they open.
                const bool of_door = word.starts_with("door.") || word.starts_with("access.") ||
                                     word.starts_with("session.");
                profile_->types[*code] = {type, of_door};
            }
        }
    }

    // [results."access.denied"]: "1" = "unknown_card".
    void read_results(const toml::table& root) {
        const toml::table* results = reader_.table(root, "results");
        if (results == nullptr) return;
        for (const auto& [key, node] : *results) {
            const KeyEventType type = parse_key_event_type(key.str());
            const toml::table* names = node.as_table();
            if (type == KeyEventType::vendor || names == nullptr) {
                reader_.problem(node, "\"" + std::string(key.str()) +
                                          "\" must be a type of event and hold a table");
                continue;
            }
            for (const auto& [number, name] : *names) {
                const auto code = modbus::parse_number(number.str());
                const auto text = name.value_exact<std::string>();
                if (!code || *code < 1 || *code > 0x7F || !text)
                    reader_.problem(name, "results are written like \"1\" = \"unknown_card\"");
                else
                    profile_->words[type][*code] = *text;
            }
        }
    }

    void read_inputs(const toml::table& root) {
        const toml::table* inputs = reader_.table(root, "inputs");
        if (inputs == nullptr) return reader_.problem(root, "[inputs] is missing");
        reader_.check_keys(*inputs, {"function", "first", "slots", "invert", "door",
                                     "door_inverted", "faults", "samples"});
        ContactMap& map = profile_->contacts;
        map.table = static_cast<RegisterTable>(reader_.number(*inputs, "function", 1, 2, 2));
        map.first = reader_.number(*inputs, "first", 0, kAddressMax, 0);
        map.samples = reader_.number(*inputs, "samples", 2, 20, 3);
        map.door_inverted = reader_.flag(*inputs, "door_inverted", false);
        if (inputs->contains("door")) map.door = reader_.number(*inputs, "door", 0, kAddressMax, 0);
        if (inputs->contains("faults"))
            map.faults_first = reader_.number(*inputs, "faults", 0, kAddressMax, 0);
        read_slots(*inputs, map);
        map.inverted.assign(map.slots.size(), false);
        if (!inputs->contains("invert")) return;
        const auto mask = parse_levels(reader_.text(*inputs, "invert", true));
        if (mask && mask->size() == map.slots.size())
            map.inverted = *mask;
        else
            reader_.problem(*inputs->get("invert"),
                            "\"invert\" must have a 0 or 1 for each input of \"slots\"");
    }

    void read_slots(const toml::table& inputs, ContactMap& map) {
        const toml::array* slots = inputs["slots"].as_array();
        if (slots == nullptr || slots->empty() || slots->size() > kInputsMax)
            return reader_.problem(inputs, "\"slots\" must list each input's slot, 0 for none");
        for (const toml::node& node : *slots) {
            const auto slot = node.value_exact<std::int64_t>();
            if (!slot || *slot < 0 || *slot > kSlotMax) {
                reader_.problem(node, "a slot is a whole number from 0 to 9999");
                continue;
            }
            const auto number = static_cast<int>(*slot);
            if (number != 0 && std::count(map.slots.begin(), map.slots.end(), number) != 0)
                reader_.problem(node, "slot " + std::to_string(number) + " stands twice");
            map.slots.push_back(number);
        }
        const int count = static_cast<int>(map.slots.size());
        if (map.first + count > kAddressMax + 1 ||
            map.faults_first.value_or(0) + count > kAddressMax + 1)
            reader_.problem(inputs, "the inputs end beyond 65535");
        if (map.door && *map.door >= map.first && *map.door < map.first + count &&
            map.slots[static_cast<std::size_t>(*map.door - map.first)] != 0)
            reader_.problem(inputs, "the door's input has a slot; write 0 there");
    }

    void read_test(const toml::table& table) {
        reader_.check_keys(table, {"name", "record", "inputs", "events"});
        CabinetVector vector;
        vector.line = static_cast<int>(table.source().begin.line);
        vector.name = reader_.text(table, "name", true);
        vector.events = reader_.texts(table, "events");
        if (profile_->kind == CabinetKind::kcm) {
            const auto words = modbus::parse_words(reader_.text(table, "record", true));
            if (!words || words->size() != kKcmRecordWords)
                return reader_.problem(table, "\"record\" must be 16 words of four digits");
            vector.record = *words;
        } else {
            for (const std::string& line : reader_.texts(table, "inputs")) {
                auto levels = parse_levels(line);
                if (!levels) return reader_.problem(table, "\"inputs\" must hold 0 and 1 alone");
                vector.inputs.push_back(std::move(*levels));
            }
        }
        profile_->tests.push_back(std::move(vector));
    }

    modbus::Reader reader_;
    std::shared_ptr<CabinetProfile> profile_ = std::make_shared<CabinetProfile>();
};

// Polls stand a poll interval apart, from 0 on.
std::vector<std::string> happenings(const CabinetProfile& profile, const CabinetVector& vector,
                                    std::string& problem) {
    std::vector<std::string> found;
    if (profile.kind == CabinetKind::kcm) {
        if (const auto event = decode_kcm_record(profile, "kc", 1, vector.record))
            found.push_back(describe(*event));
        return found;
    }
    ContactsBoard board("kc", profile.contacts, profile.poll_interval_ms, 1);
    std::size_t bits = 0;
    for (const RegisterSpan& span : board.reads()) bits += static_cast<std::size_t>(span.count);
    Moment now;
    for (const std::vector<bool>& levels : vector.inputs) {
        if (levels.size() != bits) {
            problem = "a line of \"inputs\" must have " + std::to_string(bits) +
                      " levels: the inputs, then a door apart from them, then the faults";
            return found;
        }
        board.take(levels, now);
        now.mono_ms += profile.poll_interval_ms;
        now.wall_ms += profile.poll_interval_ms;
    }
    for (const KeyEvent& event : board.pending()) found.push_back(describe(event));
    return found;
}

std::string lines_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "\"" : ", \"") + line + "\"";
    return "[" + text + "]";
}

}  // namespace

ParsedCabinetProfile parse_cabinet_profile(const std::string& text, const std::string& file) {
    ParsedCabinetProfile parsed;
    toml::table root;
    try {
        root = toml::parse(text, file);
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        parsed.problems.push_back({file, static_cast<int>(at.line), static_cast<int>(at.column),
                                   std::string(error.description())});
        return parsed;
    }
    const std::shared_ptr<CabinetProfile> profile = FileReader(file, parsed.problems).read(root);
    if (!parsed.problems.empty()) return parsed;
    for (const CabinetVector& vector : profile->tests) {
        std::string problem;
        const std::vector<std::string> found = happenings(*profile, vector, problem);
        if (problem.empty() && found != vector.events)
            problem = "\"" + vector.name + "\" gives " + lines_of(found) + " instead of " +
                      lines_of(vector.events);
        if (!problem.empty()) parsed.problems.push_back({file, vector.line, 1, std::move(problem)});
    }
    if (parsed.problems.empty()) parsed.profile = profile;
    return parsed;
}

}  // namespace gatehouse::cabinet
