// A key cabinet that behaves, and one that does not: keys, a door, people with cards, and what of
// it stands in the registers of a KCM-1 board or behind a module's inputs. It is written apart from
// the driver on purpose, so that each proves the other. Time is milliseconds since the start;
// nothing here opens a port. The simulator's one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "drivers/simulator/consumption.hpp"
#include "drivers/simulator/frames.hpp"

namespace gatehouse::simulator {

struct CabinetAct {
    std::int64_t at_ms = 0;
    std::string what;  // as at the control port, behind the cabinet's name
};
struct CabinetPerson {
    std::string id, card;  // card as w34:012345678, of 1 to 56 bits
};
struct CabinetSpec {
    std::string id;
    std::size_t bus = 0;  // index into Site::buses
    int address = 1;
    std::string profile;
    bool board = true;  // KCM-1; else contacts
    // Contacts: the slot of each input from `first` on, and which reads 0 where the key hangs.
    int function = 2, first = 0, door_input = -1;
    std::vector<int> inputs;
    std::vector<bool> inverted;
    bool door_inverted = false;
    std::map<int, std::uint64_t> slots;  // with the tag of the key at home there; 0: none
    std::vector<CabinetPerson> people;
    // How it behaves.
    std::size_t log_size = 1'000;
    std::int64_t first_seq = 1;  // of its log; it counts in 32 bits
    std::int64_t clock_off_ms = 0;
    std::int64_t bounce_ms = 120;
    std::int64_t visits_per_hour = 0;
    std::vector<CabinetAct> acts;
};

class Cabinet {
  public:
    // `epoch_ms` is the wall clock at 0.
    Cabinet(CabinetSpec spec, std::uint64_t seed, std::int64_t epoch_ms);

    [[nodiscard]] const CabinetSpec& spec() const { return spec_; }
    // The reply's PDU; empty: it says nothing, since it has no power.
    [[nodiscard]] Bytes answer(const Bytes& pdu, std::int64_t now_ms);
    // Whatever was due until now, the script and the people of the house.
    void advance(std::int64_t now_ms);
    // Empty on success, else what is wrong.
    [[nodiscard]] std::string act(const std::string& what, std::int64_t now_ms);
    // One JSON line of what really happened, with the wall clock's time of it.
    using TruthHandler = std::function<void(const std::string& json)>;
    void on_truth(TruthHandler handler) { on_truth_ = std::move(handler); }

    // For tests.
    [[nodiscard]] std::int64_t boot() const { return boot_; }
    [[nodiscard]] std::int64_t newest() const { return next_seq_ - 1; }
    [[nodiscard]] std::int64_t acked() const { return acked_; }
    [[nodiscard]] bool has_key(int slot) const { return present_.at(slot); }

  private:
    using Record = std::vector<std::uint16_t>;  // 16 words
    struct Due {
        std::int64_t at_ms = 0;
        std::string what;
    };

    void log(int type, int place, int kind, int result, std::uint64_t credential, std::uint64_t tag,
             std::int64_t now_ms);
    void tell(const char* what, int slot, const std::string& card, std::int64_t now_ms);
    [[nodiscard]] std::string move_key(bool out, const std::vector<std::string>& words,
                                       std::int64_t now_ms);
    [[nodiscard]] std::string door(bool open, std::int64_t now_ms);
    [[nodiscard]] std::string badge(bool granted, const std::vector<std::string>& words,
                                    std::int64_t now_ms);
    [[nodiscard]] std::string power(bool on, std::int64_t now_ms);
    void plan_visit(std::int64_t from_ms);
    [[nodiscard]] bool contact(int slot, std::int64_t now_ms);
    [[nodiscard]] Bytes read_bits(int first, int count, int function, std::int64_t now_ms);
    [[nodiscard]] Bytes read_registers(int first, int count, std::int64_t now_ms);
    [[nodiscard]] Bytes write_registers(const Bytes& pdu, std::int64_t now_ms);
    [[nodiscard]] bool bit_at(int address, std::int64_t now_ms, bool& value);
    [[nodiscard]] bool word_at(int address, std::int64_t now_ms, std::uint16_t& value) const;
    [[nodiscard]] std::int64_t device_ms(std::int64_t now_ms) const;
    [[nodiscard]] std::int64_t oldest() const;

    CabinetSpec spec_;
    Dice dice_;
    const std::int64_t epoch_ms_;
    TruthHandler on_truth_;
    std::map<int, bool> present_;
    std::map<int, std::int64_t> bounces_until_;
    bool door_open_ = false, powered_ = true, housing_open_ = false;
    std::int64_t boot_ = 1, next_seq_ = 1, acked_ = 0;
    int lost_ = 0;
    std::deque<Record> log_;
    std::multimap<std::int64_t, std::string> due_;
    std::string last_card_;  // whoever stands before the door
};

[[nodiscard]] const char* cabinet_help();

}  // namespace gatehouse::simulator
