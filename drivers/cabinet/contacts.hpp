// Cabinets that are contacts and nothing more: what the box concludes from their levels. A level
// counts once it was seen several times in a row; it happened when it was first seen. Who moved the
// key is for the engine to say. Pure; the cabinet's bus thread.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "drivers/cabinet/board.hpp"
#include "drivers/cabinet/profile.hpp"

namespace gatehouse::cabinet {

// One contact. Bounce moves nothing; a change has the time of its first differing sample.
class Contact {
  public:
    // True where the level has changed with this sample.
    [[nodiscard]] bool sample(bool level, const Moment& now, int samples);
    void set(bool level);  // without a change: this is how it is
    [[nodiscard]] bool level() const { return level_; }
    [[nodiscard]] UtcMs changed_at() const { return changed_at_; }
    // How long it has been neither here nor there.
    [[nodiscard]] std::int64_t unsettled_ms(const Moment& now) const;

  private:
    bool level_ = false;
    int differing_ = 0, equal_ = 0;  // in a row
    bool unsettled_ = false;
    Moment since_;  // first differing sample
    UtcMs changed_at_ = 0;
};

class ContactsBoard final : public Board {
  public:
    // `run` is the boot of its events: their seqs begin with the process.
    ContactsBoard(std::string cabinet, ContactMap map, std::int64_t poll_interval_ms,
                  std::int64_t run);

    [[nodiscard]] BoardAsk next(const Moment& now) override;
    [[nodiscard]] std::string answered(const BoardReply& reply, const Moment& now) override;
    void failed(const Moment& now) override;
    void was_away() override { stock_due_ = true; }
    void committed(bool kept, const Moment& now) override;

    // One whole poll, its bits in the order of the reads below. Tests and profiles' vectors call
    // it with levels of their own.
    void take(const std::vector<bool>& bits, const Moment& now);
    [[nodiscard]] const std::vector<RegisterSpan>& reads() const { return reads_; }
    [[nodiscard]] const std::deque<KeyEvent>& pending() const { return pending_; }

  private:
    void take_stock(const std::vector<bool>& bits, const Moment& now);
    void take_slot(std::size_t input, bool present, const Moment& now);
    void take_fault(std::size_t input, bool faulty, const Moment& now);
    void take_door(bool open, const Moment& now);
    void take_device(std::size_t at, const std::vector<bool>& bits, const Moment& now);
    void tell_housing(bool open, UtcMs at);
    void tell_power(const char* detail, UtcMs at, bool begins);
    void tell(KeyEvent event);
    KeyEvent& begin(KeyEventType type, UtcMs at, std::optional<int> slot);
    void end_loss();
    [[nodiscard]] bool present(const std::vector<bool>& bits, std::size_t input) const;

    const std::string cabinet_;
    const ContactMap map_;
    const std::int64_t poll_interval_ms_, run_;
    std::vector<RegisterSpan> reads_;
    std::size_t reading_ = 0;
    std::vector<bool> bits_;
    Moment begun_;
    MonoMs due_ = 0, hand_after_ = 0;
    bool stock_due_ = true, known_ = false;
    std::vector<Contact> contacts_, faults_;
    std::vector<bool> bouncing_;
    Contact door_, housing_, mains_, battery_;
    bool device_known_ = false;
    std::int64_t seq_ = 0;          // last one given
    std::deque<KeyEvent> pending_;  // not committed
    std::size_t handed_ = 0;        // of them, under way
    std::int64_t lost_from_ = 0, lost_through_ = 0;
    KeyEvent scratch_;
};

}  // namespace gatehouse::cabinet
