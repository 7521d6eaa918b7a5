// A board with a log of its own, asked as keys-and-tickets.md 5.4 says: a window of its log is
// read, handed, and acknowledged once it was committed; reading consumes nothing, so that whatever
// breaks in between is asked for again and is the same. Pure; the cabinet's bus thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drivers/cabinet/contacts.hpp"
#include "drivers/cabinet/kcm.hpp"

namespace gatehouse::cabinet {

class KcmBoard final : public Board {
  public:
    KcmBoard(std::string cabinet, std::shared_ptr<const CabinetProfile> profile,
             std::int64_t poll_interval_ms, std::int64_t run);

    [[nodiscard]] BoardAsk next(const Moment& now) override;
    [[nodiscard]] std::string answered(const BoardReply& reply, const Moment& now) override;
    void failed(const Moment& now) override;
    void was_away() override;
    void committed(bool kept, const Moment& now) override;
    [[nodiscard]] std::optional<std::int64_t> skew_ms() const override { return skew_ms_; }
    [[nodiscard]] bool has_clock() const override { return contacts_ == nullptr; }
    void set_clock(std::int64_t offset_ms) override;
    [[nodiscard]] std::optional<ClockOutcome> clock_outcome() override;
    void cancel_clock() override;

  private:
    enum class Step { head, window, confirm, hand, wait, ack, stock, tags, settle, clock };
    using Record = std::vector<std::uint16_t>;

    [[nodiscard]] std::string take_head(const BoardReply& reply, const Moment& now);
    void set_in_line(const KcmHead& told);
    [[nodiscard]] std::int64_t number_of(const Record& record) const;
    [[nodiscard]] bool went_back(const KcmHead& told);
    void take_boot();
    void decide(const Moment& now);
    [[nodiscard]] std::string take_window(const BoardReply& reply, const Moment& now);
    [[nodiscard]] std::string confirm(const Moment& now);
    [[nodiscard]] bool overwritten(std::int64_t first, KeyEvent& event) const;
    [[nodiscard]] std::vector<Record> records() const;
    void take_stock(const BoardReply& reply, const Moment& now);
    void take_tags(const BoardReply& reply);
    [[nodiscard]] int tags_at_once() const;
    void settle(const Moment& now);
    void hand(KeyPush push);
    void rest(const Moment& now);
    void take_skew(const Moment& now);
    void check_clock(const Moment& now);
    [[nodiscard]] bool clock_is_next(const Moment& now);
    [[nodiscard]] std::optional<std::int64_t> off_by(const Moment& now) const;
    [[nodiscard]] std::optional<UtcMs> device_now(const Moment& now) const;

    const std::string cabinet_;
    const std::shared_ptr<const CabinetProfile> profile_;
    const std::int64_t poll_interval_ms_, run_;
    std::unique_ptr<ContactsBoard> contacts_;  // a board without a log: asked like one of contacts

    Step step_ = Step::head;
    MonoMs due_ = 0;
    std::optional<std::int64_t> skew_ms_;
    // Numbers here go on where the board's 32 bits begin again; what leaves has the board's.
    KcmHead head_;
    std::optional<std::int64_t> boot_;
    std::int64_t before_boot_ = 0;      // of the head before the window
    std::int64_t committed_ = 0;        // of this boot, as far as this process knows
    std::int64_t acked_seen_ = 0;       // likewise
    std::vector<Record> kept_;          // records committed last, to know them under another boot
    std::optional<int> lost_told_;      // of the board's count
    std::vector<std::uint16_t> words_;  // of the window
    std::vector<Record> handed_;
    std::int64_t handed_newest_ = 0;
    std::int64_t ack_seq_ = 0;
    KeyPush push_;
    bool hands_log_ = false;
    bool stock_due_ = true;
    bool log_seen_ = false;  // on this connection it answered for its log
    bool set_back_ = false;  // its numbering was seen to have gone back, once so far
    // An order to set its clock: to the monotonic one and this offset.
    std::optional<std::int64_t> clock_offset_ms_;
    std::optional<MonoMs> clock_since_;  // it waits for the log to be read
    ClockOutcome clock_;
    bool clock_written_ = false, clock_over_ = false;
    // Its clock as it was, until the record that tells of the setting was read.
    std::optional<std::int64_t> skew_before_ms_;
    bool spare_input_ = true;  // one input more than slots: where they count from 1
    int tag_slot_ = 1;         // the first whose tag is asked next
    bool tells_tags_ = true;   // until it refuses the registers of its tags
    KeyEvent stock_;
    std::int64_t stock_second_ = 0;
    MonoMs stock_until_ = 0;
    std::int64_t box_seq_ = 0;
};

}  // namespace gatehouse::cabinet
