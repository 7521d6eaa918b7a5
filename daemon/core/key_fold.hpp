// One event on its way into the custody of keys. Private to core/key_custody: what its two files
// share.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/key_custody.hpp"

namespace gatehouse {

class KeyFold {
  public:
    KeyFold(Custody& custody, const KeyEvent& event, const KeyIndex& index,
            CustodyFindings& findings);
    void run();

  private:
    struct Who {
        std::string person, second;
        std::vector<std::string> candidates;
        KeyOrigin origin = KeyOrigin::device;
        bool nobody = false, ambiguous = false;
    };

    [[nodiscard]] const std::string& cabinet() const { return cabinet_; }
    KeyFact& tell(KeyFactKind kind, const std::string& subject);
    void begin_alarm(KeyFactKind kind);
    void end_alarm();
    void end(KeyFactKind kind, const std::string& subject);

    void end_sessions();
    [[nodiscard]] bool is_off_hours() const;
    void grant();
    void deny();
    void open_door();
    void close_door();
    void log_out();
    void close_sessions();
    [[nodiscard]] bool concerns(const KeySession& session) const;
    [[nodiscard]] bool is_shut(const KeySession& session) const;
    [[nodiscard]] Who who();
    void tell_doubts(const Who& who, const std::string& key);
    void miss(std::int64_t from, std::int64_t through);
    void look_before();
    void count_on();
    void restart();
    void lose_for_good();
    void forget_places();
    void forget_sessions();

    [[nodiscard]] const Key* key_of_event();
    [[nodiscard]] const Key* key_in_slot(int slot);
    [[nodiscard]] const Key* untagged_home(int slot) const;
    [[nodiscard]] const SlotGuest* guest_in(int slot) const;
    [[nodiscard]] bool is_home(const Key& key, int slot) const;
    void leave_slot(const Key& key, KeyState& state);
    void hang(const Key& key, KeyState& state, std::optional<int> slot);
    void hang_strange();
    [[nodiscard]] bool are_two(const Who& taken) const;
    void remove();
    void put_back();
    struct Stock;
    [[nodiscard]] bool speaks_of(int slot) const;
    [[nodiscard]] Stock look_at_slots();
    void take_stock();
    void compare(const Key& key, std::optional<int> found, bool sure);
    void write_down();
    void lend(const Key& key, KeyState& state, const Who& taken);
    void give_back(KeyState& state, const Who& brought);
    void lose(KeyState& state);
    void count(const Key& key, KeyState& state);

    Custody& custody_;
    const KeyEvent& event_;
    const KeyIndex& index_;
    const std::string cabinet_;
    CustodyFindings& findings_;
    SourceState& source_;
    CabinetState& here_;
};

}  // namespace gatehouse
