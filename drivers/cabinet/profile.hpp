// What a model of key cabinet is on the wire, from one file each in drivers/cabinets: a board with
// a log of its own (kcm), or contacts alone. It reads no cabinet. Values, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/key_event.hpp"
#include "daemon/core/poll_plan.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"

namespace gatehouse::cabinet {

enum class CabinetKind { kcm, contacts };

// What one code of a board's records stands for.
struct RecordType {
    KeyEventType type = KeyEventType::vendor;
    bool of_door = false;  // the place in the record is a door, not a slot
};

// Contacts behind inputs: `slots[k]` is the slot of input first + k, 0 where it has none.
struct ContactMap {
    RegisterTable table = RegisterTable::discrete_inputs;
    int first = 0;
    std::vector<int> slots;
    std::vector<bool> inverted;  // by input: it reads 0 where the key hangs
    std::optional<int> door;     // address of the input; 1: open
    bool door_inverted = false;
    // Behind the door's: 1 its housing is open, 1 the mains are there, 1 its battery is low.
    bool of_device = false;
    std::optional<int> faults_first;  // of as many inputs in the order of `slots`; 1: faulty
    int samples = 3;                  // equal ones that make a change
    friend bool operator==(const ContactMap&, const ContactMap&) = default;
};

struct CabinetVector {
    int line = 0;
    std::string name;
    std::vector<std::uint16_t> record;      // kcm: the words of one record
    std::vector<std::vector<bool>> inputs;  // contacts: one poll each, as on the wire
    std::vector<std::string> events;        // as describe() writes them
};

struct CabinetProfile {
    std::string id, maker, model, source, file;
    CabinetKind kind = CabinetKind::contacts;
    MapStatus map = MapStatus::document;
    std::int64_t poll_interval_ms = 250;
    ContactMap contacts;
    std::map<int, RecordType> types;                           // kcm, by code
    std::map<KeyEventType, std::map<int, std::string>> words;  // kcm: results, by type and code
    std::vector<CabinetVector> tests;
};

// One event in one line, for vectors and for people: "key.removed slot=12 seq=3 at=...".
[[nodiscard]] std::string describe(const KeyEvent& event);

struct ParsedCabinetProfile {
    std::shared_ptr<const CabinetProfile> profile;  // null where there are problems
    std::vector<Problem> problems;
};
// Runs the file's vectors as well.
[[nodiscard]] ParsedCabinetProfile parse_cabinet_profile(const std::string& text,
                                                         const std::string& file);

struct CabinetProfileTable {
    std::map<std::string, std::shared_ptr<const CabinetProfile>> profiles;
    std::map<std::string, std::string> broken;  // why
    std::vector<Problem> problems, notes;
    // Null where none is usable; `reason` then says why.
    [[nodiscard]] std::shared_ptr<const CabinetProfile> find(const std::string& id,
                                                             std::string* reason = nullptr) const;
};
// Every *.toml of the folders; a later folder's file stands for an earlier one of its name, also
// where it is broken. A folder that is not there is empty, unless it is the first.
[[nodiscard]] CabinetProfileTable load_cabinet_profiles(const std::vector<std::string>& folders);

}  // namespace gatehouse::cabinet
