#include "daemon/mqtt/cabinet_state.hpp"

#include <map>
#include <optional>

#include "daemon/engine/json_writer.hpp"
#include "daemon/mqtt/link.hpp"

namespace gatehouse::mqtt {
namespace {

struct Slot {
    std::string key;
    std::optional<bool> occupied;
};

std::map<int, Slot> slots_of(const Snapshot& snapshot, const std::string& cabinet) {
    std::map<int, Slot> slots;
    for (const int slot : cabinet_slots(snapshot, cabinet)) slots[slot].occupied = false;
    std::map<std::string, const Key*> rows;
    for (const Key& row : snapshot.registry->keys) rows.emplace(row.key, &row);
    for (const KeyView& key : snapshot.keys->keys) {
        const auto row = rows.find(key.key);
        if (row == rows.end()) continue;
        const bool home = row->second->cabinet == cabinet && row->second->slot;
        if (home) slots[*row->second->slot].key = key.key;
        if (home && key.place == KeyPlace::unknown) slots[*row->second->slot].occupied.reset();
    }
    // What hangs somewhere has the last word, also on a slot that is another key's home.
    for (const KeyView& key : snapshot.keys->keys)
        if (key.cabinet == cabinet && key.slot && key.place == KeyPlace::in)
            slots[*key.slot] = {key.key, true};
    return slots;
}

}  // namespace

std::vector<int> cabinet_slots(const Snapshot& snapshot, const std::string& cabinet) {
    std::map<int, bool> slots;
    if (snapshot.registry)
        for (const Key& key : snapshot.registry->keys)
            if (key.cabinet == cabinet && key.slot) slots[*key.slot] = true;
    std::vector<int> numbers;
    for (const auto& [slot, known] : slots) numbers.push_back(slot);
    return numbers;
}

std::string cabinet_state_json(const Snapshot& snapshot, const CabinetView& cabinet,
                               const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("cabinet", cabinet.cabinet)
        .field("online", cabinet.seen && cabinet.online)
        .field_if("reason", cabinet.reason)
        .field("keys", cabinet.keys)
        .field("out", cabinet.out)
        .key("slots")
        .begin_object();
    for (const auto& [number, slot] : slots_of(snapshot, cabinet.cabinet))
        json.key(std::to_string(number))
            .begin_object()
            .field("key", slot.key)
            .field("occupied", slot.occupied)
            .end_object();
    json.end_object().field(
        "gaps", cabinet.gaps.size() + (cabinet.reader ? cabinet.reader->gaps.size() : 0));
    if (cabinet.last_event_at)
        json.field("last_event_at", format_iso8601(*cabinet.last_event_at, zone));
    json.end_object();
    return json.take();
}

std::string cabinet_state_filter(const Settings& settings) {
    return full_topic(settings, "cabinet/+/state");
}

std::optional<std::string> cabinet_of_state(const Settings& settings, std::string_view topic) {
    const std::string prefix = full_topic(settings, "cabinet/");
    constexpr std::string_view kEnd = "/state";
    if (!topic.starts_with(prefix) || !topic.ends_with(kEnd)) return std::nullopt;
    topic.remove_prefix(prefix.size());
    topic.remove_suffix(std::min(kEnd.size(), topic.size()));
    return std::string(topic);
}

}  // namespace gatehouse::mqtt
