// What the tests of key cabinets share: a simulated cabinet, a poller on it without any wire, and
// the books of a sink that forgets nothing it was told and nothing that it kept.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "drivers/cabinet/kcm_board.hpp"
#include "drivers/cabinet/poller.hpp"
#include "drivers/simulator/cabinet.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::cabinet {

inline std::shared_ptr<const CabinetProfile> shipped(const std::string& id) {
    static const CabinetProfileTable kTable =
        load_cabinet_profiles({std::string(GATEHOUSE_SOURCE_DIR) + "/drivers/cabinets"});
    std::string reason;
    auto profile = kTable.find(id, &reason);
    INFO(reason);
    REQUIRE(profile);
    return profile;
}

inline simulator::CabinetSpec board_of(int slots, std::size_t log_size = 1'000) {
    simulator::CabinetSpec spec;
    spec.id = "kc-01";
    spec.profile = "kcm-1";
    spec.log_size = log_size;
    for (int slot = 1; slot <= slots; ++slot)
        spec.slots[slot] = 0xE004015000000000ULL + static_cast<unsigned>(slot);
    spec.people = {{"s-01", "w34:012345678"}, {"s-02", "w26:0012345"}};
    return spec;
}

// A reply as the link would make it of the cabinet's answer.
inline modbus::Reply reply_of(const simulator::Bytes& pdu, int count) {
    modbus::Reply reply;
    if (pdu.empty()) {
        reply.result = PollResult::timeout;
        reply.detail = "no reply in time";
        return reply;
    }
    if (pdu[0] >= 0x80) {
        reply.exception = pdu[1];
        reply.result = PollResult::exception;
        return reply;
    }
    reply.result = PollResult::ok;
    if (pdu[0] == 16) return reply;
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (pdu[0] <= 2)
            reply.words.push_back(
                static_cast<std::uint16_t>(unsigned{pdu[2 + at / 8]} >> (at % 8) & 1U));
        else
            reply.words.push_back(
                static_cast<std::uint16_t>((pdu[2 + 2 * at] << 8U) | pdu[3 + 2 * at]));
    }
    return reply;
}

inline simulator::Bytes pdu_of(const PollerAction& action) {
    const auto put = [](simulator::Bytes& bytes, int word) {
        bytes.push_back(static_cast<std::uint8_t>(word >> 8));
        bytes.push_back(static_cast<std::uint8_t>(word & 0xFF));
    };
    simulator::Bytes pdu;
    if (action.kind == PollerAction::Kind::write) {
        pdu.push_back(16);
        put(pdu, action.write.first);
        put(pdu, static_cast<int>(action.write.words.size()));
        pdu.push_back(static_cast<std::uint8_t>(2 * action.write.words.size()));
        for (const std::uint16_t word : action.write.words) put(pdu, word);
        return pdu;
    }
    pdu.push_back(static_cast<std::uint8_t>(action.request.span.table));
    put(pdu, action.request.span.first);
    put(pdu, action.request.span.count);
    return pdu;
}

// Keeps what was committed, by its identity; what comes again must be the same.
struct Books {
    std::map<KeyEventId, std::string> kept;
    std::vector<KeyEvent> order;
    int again = 0;
    void keep(const KeyPush& push) {
        for (const KeyEvent& event : push.events) {
            const auto [known, fresh] = kept.emplace(event.id, describe(event));
            if (fresh) order.push_back(event);
            if (fresh) continue;
            ++again;
            CHECK(known->second == describe(event));
        }
    }
    std::vector<std::int64_t> seqs(const std::string& source) const {
        std::vector<std::int64_t> found;
        for (const KeyEvent& event : order)
            if (event.id.source == source) found.push_back(event.id.seq);
        return found;
    }
    const KeyEvent* last(KeyEventType type) const {
        for (auto event = order.rbegin(); event != order.rend(); ++event)
            if (event->type == type) return &*event;
        return nullptr;
    }
};

// One life of the process: a board and its poller, on a cabinet that outlives it.
class Life {
  public:
    static constexpr UtcMs kEpochMs = 1'790'000'000'000;

    Life(simulator::Cabinet& cabinet, std::unique_ptr<Board> board, std::int64_t& now_ms)
        : cabinet_(cabinet),
          poller_({"kc-01", 1, 500, 500, true}, std::move(board)),
          now_(now_ms) {}
    static std::unique_ptr<Board> kcm(std::int64_t run) {
        return std::make_unique<KcmBoard>("kc-01", shipped("kcm-1"), 500, run);
    }

    // What the sink does with a push; false: it was not committed.
    std::function<bool(const KeyPush&)> sink;
    // Looks at each exchange before it goes out; false: it gets lost, its reply with it.
    std::function<bool(const PollerAction&)> before = [](const PollerAction&) { return true; };
    bool silent = false;

    // One action; time goes on by what it takes.
    PollerAction step() {
        const PollerAction action = poller_.next(moment());
        switch (action.kind) {
            case PollerAction::Kind::wait:
                now_ = std::max(now_ + 1, action.until);
                break;
            case PollerAction::Kind::listen:
                now_ += action.for_ms;
                break;
            case PollerAction::Kind::hand:
                poller_.committed(action.ticket, sink(action.push), moment());
                break;
            case PollerAction::Kind::read:
            case PollerAction::Kind::write: {
                const bool goes = !silent && before(action);
                now_ += goes ? 20 : 500;
                const auto pdu = goes ? cabinet_.answer(pdu_of(action), now_) : simulator::Bytes{};
                poller_.ended(reply_of(pdu, action.request.span.count), moment());
                break;
            }
        }
        return action;
    }
    void run_for(std::int64_t ms) {
        for (const std::int64_t until = now_ + ms; now_ < until;) (void)step();
    }
    [[nodiscard]] Moment moment() const { return {now_, kEpochMs + now_}; }
    CabinetPoller& poller() { return poller_; }

  private:
    simulator::Cabinet& cabinet_;
    CabinetPoller poller_;
    std::int64_t& now_;
};

}  // namespace gatehouse::cabinet
