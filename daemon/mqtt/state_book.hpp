// What the state topics say and what of it the broker has: finds in a snapshot what changed since
// it was last published, keeps it coalesced (the newest value of a topic alone waits), and writes
// each payload when its turn comes. Pure but for the zone; the publishing thread's.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/settings.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse::mqtt {

// What bridge/health says beside the snapshot.
struct HealthFacts {
    std::uint64_t cursor = 0;
    std::uint64_t unpublishable = 0;
    std::optional<std::uint64_t> disk_free_bytes;
};

class StateBook {
  public:
    StateBook(const Settings& settings, const Zone& zone) : settings_(settings), zone_(zone) {}

    // A new connection: the broker may have nothing. Everything is published again, whole.
    void forget();
    // Looks at a snapshot, the same or a newer one.
    void scan(std::shared_ptr<const Snapshot> snapshot, MonoMs now);
    // When to scan again though the snapshot is the same (a balance waits for its second).
    [[nodiscard]] std::optional<MonoMs> scan_due() const { return scan_due_; }

    // Nothing to publish, or nothing seen yet to publish it from.
    [[nodiscard]] bool empty() const { return queue_.empty() || snapshot_ == nullptr; }
    [[nodiscard]] bool front_is_health() const {
        return !queue_.empty() && queue_.front().kind == Kind::health;
    }
    // The message whose turn it is, from the newest snapshot scanned.
    [[nodiscard]] Message front(const HealthFacts& facts) const;
    void handed_over(MonoMs now);  // the front was taken
    // bridge/health is due whatever changed.
    void want_health();

    // Home Assistant was started: it hears of every device again.
    void announce_again();
    // A device of this site is announced on the broker; one that is none any more is taken away.
    // `config` is the announcement itself: what it points to goes with a device whose meter,
    // account or cabinet nobody knows any more.
    void heard_device(std::string object, std::string config = {});
    // A cabinet has a retained state on the broker; that of one that is none any more is cleared.
    void heard_cabinet(std::string cabinet);

    // What a new connection hears before any event: online, every open alert and the digest, so
    // that no later retained copy can be overtaken by an older one.
    [[nodiscard]] std::vector<Message> greeting(const Snapshot& snapshot) const;

  private:
    enum class Kind {
        info,
        health,
        meter_state,
        meter_availability,
        balance,
        gateway_discovery,
        meter_discovery,
        account_discovery,
        cabinet_state,
        cabinet_discovery,
        removal,  // of a retained topic
    };
    struct Entry {
        Kind kind;
        std::size_t row = 0;
    };
    struct Meter {
        std::string id;
        std::optional<std::uint64_t> version;  // published
        std::optional<bool> online;            // published
        bool state_waits = false, availability_waits = false;
        std::size_t announced = 0;  // hash of what the announcement depends on; 0: it is none
    };
    struct Account {
        std::string id;
        std::optional<std::uint64_t> version;  // published
        std::size_t said = 0;                  // hash of what was published, without its time
        MonoMs at = 0;
        bool waits = false;
        bool cleared = false;  // it is closed, and its topic carries nothing any more
        std::size_t announced = 0;
    };

    struct Cabinet {
        std::string id, state;  // its payload as published, or waiting
        bool waits = false;
        std::vector<int> slots, gone;  // announced; announced once and taken away again
        std::size_t announced = 0;
    };

    void scan_bridge();
    void scan_meters();
    void scan_accounts(MonoMs now);
    void scan_cabinets();
    void announce_cabinets();
    // Once a connection for each device, before its first state, and again where it changed. `mark`
    // 0: there is no such device, or no longer.
    void announce(Kind kind, std::size_t row, std::size_t& announced, std::size_t mark,
                  const std::string& id);
    void announce_all();
    void remove_strangers();
    void clear(std::string topic);
    [[nodiscard]] std::string balance_topic(const AccountView& account) const;
    void clear_states_of(const std::string& config);
    [[nodiscard]] std::string info_json() const;
    [[nodiscard]] std::string health_json(const HealthFacts& facts) const;

    const Settings& settings_;
    const Zone& zone_;
    // Shared with the engine and other readers, which let go of it in their own time.
    std::shared_ptr<const Snapshot> snapshot_;
    std::deque<Entry> queue_;
    std::vector<Meter> meters_;
    std::vector<Account> accounts_;
    std::vector<Cabinet> cabinets_;
    std::shared_ptr<const KeyBoard> board_;  // that the cabinets were looked up in
    std::string info_, health_key_;          // published or waiting
    bool info_waits_ = false, health_waits_ = false;
    std::optional<MonoMs> scan_due_;
    std::size_t gateway_announced_ = 0;
    struct Heard {
        std::string object, config;
    };
    std::vector<Heard> heard_;                 // on the broker, not looked at yet
    std::vector<std::string> heard_cabinets_;  // likewise
    std::deque<std::string> removals_;  // retained topics to clear, in the order of their entries
};

}  // namespace gatehouse::mqtt
