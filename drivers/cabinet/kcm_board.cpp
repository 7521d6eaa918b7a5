#include "drivers/cabinet/kcm_board.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/key_numbering.hpp"

namespace gatehouse::cabinet {
namespace {

constexpr std::int64_t kAgainMs = 2'000;       // what was not committed is handed again
constexpr std::int64_t kSettleMs = 200;        // between two looks at the board's seconds
constexpr std::int64_t kSettleMostMs = 3'000;  // a clock that stands still is not waited for
constexpr std::int64_t kClockWaitsMs = 5'000;  // for a log that is being read
constexpr std::int64_t kClockGoodMs = 2'000;   // its registers have whole seconds
constexpr int kInputs = 0x0000, kFaults = 0x1000, kDoor = 0x2000;
constexpr int kTags = 0x1000, kTagWords = 4, kTagsAtOnce = 31;  // input registers
constexpr int kIllegalFunction = 1, kIllegalAddress = 2;

// A board without a log still has its inputs; slot n stands at n.
ContactMap inputs_of(const KcmHead& head) {
    ContactMap map;
    map.first = kInputs + 1;
    for (int slot = 1; slot <= head.slots; ++slot) map.slots.push_back(slot);
    map.inverted.resize(map.slots.size());
    map.door = kDoor;
    map.of_device = true;
    map.faults_first = kFaults + 1;
    return map;
}

// A number of 32 bits as one that goes on: where it is less than what came before it and stands
// shortly behind the end of the numbers, they began again.
std::int64_t in_line(std::int64_t told, std::int64_t behind) {
    const std::int64_t round = behind - behind % kSeqs;
    return round + told + (is_beyond_wrap(behind - round, told) ? kSeqs : 0);
}

// Behind the last number some boards count from 0 and some from 1.
bool is_first_behind_end(std::int64_t expected, std::int64_t first) {
    return expected % kSeqs == 0 && expected != 0 && first == expected + 1;
}

}  // namespace

KcmBoard::KcmBoard(std::string cabinet, std::shared_ptr<const CabinetProfile> profile,
                   std::int64_t poll_interval_ms, std::int64_t run)
    : cabinet_(std::move(cabinet)),
      profile_(std::move(profile)),
      poll_interval_ms_(poll_interval_ms),
      run_(run) {}

BoardAsk KcmBoard::next(const Moment& now) {
    if (contacts_) return contacts_->next(now);
    BoardAsk ask;
    if (step_ == Step::clock && !clock_offset_ms_) step_ = Step::head;
    if (step_ == Step::wait || now.mono_ms < due_) {
        ask.until = step_ == Step::wait ? now.mono_ms + poll_interval_ms_ : due_;
        return ask;
    }
    ask.kind = BoardAsk::Kind::read;
    switch (step_) {
        case Step::head:
        case Step::confirm:
        case Step::settle:
        case Step::wait:
            ask.span = kKcmHead;
            break;
        case Step::window: {
            // As many as there are: other lengths tell a late reply from the one that is awaited.
            // An empty log is asked for one, to see whether it is a log at all.
            const std::int64_t waiting = std::max<std::int64_t>(1, head_.newest - head_.acked);
            const int count = static_cast<int>(std::min<std::int64_t>(waiting, kKcmRecordsMax));
            ask.span = {RegisterTable::input, kKcmWindow, count * kKcmRecordWords};
            break;
        }
        case Step::stock:
            ask.span = {RegisterTable::discrete_inputs, kInputs,
                        head_.slots + (spare_input_ ? 1 : 0)};
            break;
        case Step::tags:
            ask.span = {RegisterTable::input, kTags + kTagWords * tag_slot_,
                        kTagWords * tags_at_once()};
            break;
        case Step::ack:
            ask.kind = BoardAsk::Kind::write;
            ask.first = kKcmAck;
            ask.words = kcm_ack(*boot_, ack_seq_);
            break;
        case Step::clock:
            ask.kind = BoardAsk::Kind::write;
            ask.first = kKcmClock;
            clock_.before_ms = off_by(now);
            ask.words = kcm_clock(now.mono_ms + clock_offset_ms_.value_or(0));
            break;
        case Step::hand:
            ask.kind = BoardAsk::Kind::hand;
            ask.push = push_;
            step_ = Step::wait;
            break;
    }
    return ask;
}

std::string KcmBoard::answered(const BoardReply& reply, const Moment& now) {
    if (contacts_) return contacts_->answered(reply, now);
    switch (step_) {
        case Step::head:
        case Step::confirm:
        case Step::settle:
            return take_head(reply, now);
        case Step::window:
            return take_window(reply, now);
        case Step::stock:
            take_stock(reply, now);
            return "";
        case Step::tags:
            take_tags(reply);
            return "";
        case Step::clock:
            step_ = Step::head;
            if (reply.exception != 0) {
                clock_.reason = "the board refuses to have its clock set, with exception " +
                                std::to_string(reply.exception);
                clock_over_ = true;
            } else if (clock_offset_ms_) {
                clock_written_ = true;
                skew_before_ms_ = std::exchange(skew_ms_, std::nullopt);
            }
            return "";
        case Step::ack:
            // What it did not take stands in its head, and is acknowledged again with the next
            // poll.
            step_ = Step::head;
            if (reply.exception == 0) return "";
            rest(now);
            return "the board refuses an acknowledgement with exception " +
                   std::to_string(reply.exception);
        case Step::hand:
        case Step::wait:
            break;
    }
    return "";
}

void KcmBoard::rest(const Moment& now) {
    step_ = Step::head;
    due_ = now.mono_ms + poll_interval_ms_;
}

void KcmBoard::failed(const Moment& now) {
    if (contacts_) return contacts_->failed(now);
    if (step_ != Step::hand && step_ != Step::wait) rest(now);
}

void KcmBoard::was_away() {
    if (contacts_) contacts_->was_away();
    stock_due_ = true;
    log_seen_ = false;
}

void KcmBoard::set_clock(std::int64_t offset_ms) {
    cancel_clock();
    clock_offset_ms_ = offset_ms;
    if (step_ == Step::head) due_ = 0;
}

std::optional<ClockOutcome> KcmBoard::clock_outcome() {
    if (!clock_over_) return std::nullopt;
    return clock_;
}

void KcmBoard::cancel_clock() {
    clock_offset_ms_.reset();
    clock_since_.reset();
    clock_ = {};
    clock_written_ = clock_over_ = false;
}

// What the log told until then is read first where that takes no long time, so that its times are
// corrected by the clock that they were written with.
bool KcmBoard::clock_is_next(const Moment& now) {
    if (!clock_offset_ms_ || clock_written_ || clock_over_) return false;
    if (!clock_since_) clock_since_ = now.mono_ms;
    return head_.newest <= head_.acked || now.mono_ms - *clock_since_ >= kClockWaitsMs;
}

std::optional<std::int64_t> KcmBoard::off_by(const Moment& now) const {
    if (head_.utc_s == 0) return std::nullopt;
    return head_.utc_s * 1'000 + 500 - (now.mono_ms + clock_offset_ms_.value_or(0));
}

void KcmBoard::check_clock(const Moment& now) {
    if (!clock_written_ || clock_over_) return;
    clock_.after_ms = off_by(now);
    clock_.done =
        clock_.after_ms && *clock_.after_ms<kClockGoodMs&& * clock_.after_ms> - kClockGoodMs;
    if (!clock_.done) clock_.reason = "it took the time and shows another one";
    clock_over_ = true;
}

// The registers have whole seconds, so each look is off by up to half of one. What was taken once
// holds until it cannot be true any more: times that are corrected by it keep their order.
void KcmBoard::take_skew(const Moment& now) {
    if (head_.utc_s == 0) return skew_ms_.reset();
    const std::int64_t skew = head_.utc_s * 1'000 + 500 - now.wall_ms;
    if (!skew_ms_ || skew - *skew_ms_ > 1'000 || *skew_ms_ - skew > 1'000) skew_ms_ = skew;
}

std::optional<UtcMs> KcmBoard::device_now(const Moment& now) const {
    const auto skew_ms = skew_before_ms_ ? skew_before_ms_ : skew_ms_;
    if (!skew_ms) return std::nullopt;
    return now.wall_ms + *skew_ms;
}

std::string KcmBoard::take_head(const BoardReply& reply, const Moment& now) {
    auto head = reply.exception == 0
                    ? decode_kcm_head(reply.words)
                    : "its head is refused with exception " + std::to_string(reply.exception);
    if (const auto* reason = std::get_if<std::string>(&head)) {
        rest(now);
        return *reason;
    }
    const Step step = step_;
    set_in_line(std::get<KcmHead>(head));
    take_skew(now);
    check_clock(now);
    if (went_back(std::get<KcmHead>(head))) {
        rest(now);
        return "";
    }
    take_boot();
    if (step == Step::confirm) return confirm(now);
    if (step == Step::settle) {
        settle(now);
        return "";
    }
    before_boot_ = head_.boot;
    decide(now);
    return "";
}

void KcmBoard::set_in_line(const KcmHead& told) {
    head_ = told;
    if (boot_ == told.boot) head_.acked = in_line(told.acked, acked_seen_);
    head_.oldest = in_line(told.oldest, head_.acked);
    head_.newest = in_line(told.newest, head_.acked);
}

std::int64_t KcmBoard::number_of(const Record& record) const {
    return in_line((std::int64_t{record[0]} << 16) | record[1], head_.acked);
}

// A board that counts lower than before, or takes an acknowledgement back, was replaced, or has
// lost its memory. It is believed when it says so twice: one head may be an older answer that came
// late.
bool KcmBoard::went_back(const KcmHead& told) {
    const bool same = boot_ == head_.boot;
    const bool back = (boot_ && head_.boot < *boot_) ||
                      (same && (head_.newest < committed_ || head_.acked < acked_seen_));
    if (!back) {
        set_back_ = false;
        acked_seen_ = same ? std::max(acked_seen_, head_.acked) : head_.acked;
        // What is acknowledged does not come again under another boot.
        if (same && committed_ != 0 && head_.acked >= committed_) kept_.clear();
        return false;
    }
    if (!std::exchange(set_back_, true)) return true;
    set_back_ = false;
    boot_.reset();
    set_in_line(told);
    acked_seen_ = head_.acked;
    kept_.clear();
    lost_told_.reset();
    stock_due_ = true;
    return false;
}

void KcmBoard::take_boot() {
    if (!lost_told_ || head_.lost < *lost_told_) lost_told_ = head_.lost;
    if (boot_ == head_.boot) return;
    // Power was away: keys may have moved with nobody to write it down.
    if (boot_) stock_due_ = true;
    boot_ = head_.boot;
    committed_ = 0;
}

void KcmBoard::decide(const Moment& now) {
    if (head_.newest <= head_.acked) skew_before_ms_.reset();
    if (clock_is_next(now)) {
        step_ = Step::clock;
    } else if (head_.acked < committed_ && committed_ <= head_.newest && ack_seq_ != committed_) {
        ack_seq_ = committed_;
        step_ = Step::ack;
    } else if (head_.newest > head_.acked && head_.acked >= committed_) {
        step_ = Step::window;
    } else if (head_.newest <= head_.acked && !log_seen_) {
        // A board of contacts alone has nothing new for ever.
        step_ = Step::window;
    } else if (head_.newest <= head_.acked && stock_due_) {
        step_ = Step::stock;
    } else {
        ack_seq_ = 0;  // the next poll acknowledges once more where it has to
        rest(now);
    }
}

std::string KcmBoard::take_window(const BoardReply& reply, const Moment& now) {
    if (reply.exception == kIllegalAddress || reply.exception == kIllegalFunction) {
        contacts_ =
            std::make_unique<ContactsBoard>(cabinet_, inputs_of(head_), poll_interval_ms_, run_);
        return "";
    }
    if (reply.exception != 0) {
        log_seen_ = true;  // it has one; why it keeps it to itself is another matter
        rest(now);
        return "the board refuses its log with exception " + std::to_string(reply.exception);
    }
    log_seen_ = true;
    if (head_.newest <= head_.acked) {
        step_ = Step::head;
        due_ = now.mono_ms;
        return "";
    }
    words_ = reply.words;
    step_ = Step::confirm;
    return "";
}

std::vector<KcmBoard::Record> KcmBoard::records() const {
    std::vector<Record> found;
    for (std::size_t at = 0; at + kKcmRecordWords <= words_.size(); at += kKcmRecordWords) {
        const auto first = words_.begin() + static_cast<std::ptrdiff_t>(at);
        Record record(first, first + kKcmRecordWords);
        // 0 is a number behind the last one alone.
        const bool numbered = record[0] != 0 || record[1] != 0 ||
                              (head_.newest / kSeqs != head_.acked / kSeqs && record[5] != 0);
        if (!numbered) break;
        found.push_back(std::move(record));
    }
    return found;
}

// What was overwritten before anybody read it, with its exact range, in the place of its first one.
// Where its numbers began again among them, those before that are told by the new numbering itself.
bool KcmBoard::overwritten(std::int64_t first, KeyEvent& event) const {
    const std::int64_t expected = std::max(head_.acked, committed_) + 1;
    std::int64_t from = expected;
    if (first <= expected) {
        // No hole, but the board counts more losses than before: it moved its own mark past them.
        if (head_.lost <= *lost_told_) return false;
        from = std::max(first - (head_.lost - *lost_told_), committed_ + 1);
    }
    from = std::max(from, first - first % kSeqs);
    if (from >= first || is_first_behind_end(expected, first)) return false;
    event.from = from % kSeqs;
    event.through = (first - 1) % kSeqs;
    event.id = {cabinet_, *boot_, event.from};
    event.type = KeyEventType::log_overwritten;
    event.word = to_string(event.type);
    event.origin = KeyOrigin::derived;
    return true;
}

// The head again after the window: only what stood still around it is believed.
std::string KcmBoard::confirm(const Moment& now) {
    step_ = Step::head;
    due_ = now.mono_ms;
    if (head_.boot != before_boot_) return "";  // other records, under another boot
    std::vector<Record> found = records();
    const auto event_of = [&](const Record& record) {
        KeyEvent event =
            decode_kcm_record(*profile_, cabinet_, *boot_, record).value_or(KeyEvent{});
        event.id = {cabinet_, *boot_, number_of(record) % kSeqs};
        return event;
    };
    const std::int64_t first = found.empty() ? -1 : number_of(found.front());
    const std::int64_t expected = std::max(head_.acked, committed_) + 1;
    const bool hole = first > expected && !is_first_behind_end(expected, first);
    if (first < expected || (hole && head_.oldest <= expected)) {
        rest(now);  // torn, or an older answer that came late
        return "";
    }
    // Another numbering begins behind the last number; it is told by itself.
    const std::int64_t last = first - first % kSeqs + kSeqs - 1;
    KeyPush push;
    push.source = cabinet_;
    push.boot = *boot_;
    push.newest = std::min(head_.newest, last) % kSeqs;
    push.device_now = device_now(now);
    handed_.clear();
    KeyEvent loss;
    if (overwritten(first, loss)) {
        loss.at = event_of(found.front()).at;
        push.events.push_back(std::move(loss));
    }
    std::int64_t next = first;
    for (Record& record : found) {
        // The rest was torn, or is beyond the last number; it comes with the next window.
        if (next > last || number_of(record) != next) break;
        KeyEvent event = event_of(record);
        if (event.type == KeyEventType::clock_set && skew_before_ms_) {
            // What stands before it has the clock that was wrong, what stands behind it has not.
            if (!handed_.empty()) break;
            skew_before_ms_.reset();
            push.device_now = device_now(now);
        }
        // The same words under a boot that has changed: committed before, not acknowledged in time.
        if (std::find(kept_.begin(), kept_.end(), record) == kept_.end())
            push.events.push_back(std::move(event));
        handed_.push_back(std::move(record));
        handed_newest_ = next++;
    }
    hands_log_ = true;
    if (push.events.empty()) {
        committed(true, now);
        return "";
    }
    hand(std::move(push));
    return "";
}

void KcmBoard::hand(KeyPush push) {
    push_ = std::move(push);
    step_ = Step::hand;
}

void KcmBoard::committed(bool kept, const Moment& now) {
    if (contacts_) return contacts_->committed(kept, now);
    if (!kept) {
        // The log is read anew; what the box saw itself is handed as it was.
        step_ = hands_log_ ? Step::head : Step::hand;
        due_ = now.mono_ms + kAgainMs;
        return;
    }
    due_ = now.mono_ms;
    if (!hands_log_) {
        ++box_seq_;
        stock_due_ = false;
        step_ = Step::head;
        return;
    }
    if (!push_.events.empty() && push_.events.front().type == KeyEventType::log_overwritten)
        stock_due_ = true;
    lost_told_ = head_.lost;
    if (handed_newest_ / kSeqs != head_.acked / kSeqs) stock_due_ = true;
    committed_ = ack_seq_ = handed_newest_;
    kept_ = std::move(handed_);
    handed_.clear();
    step_ = Step::ack;
}

void KcmBoard::take_stock(const BoardReply& reply, const Moment& now) {
    if (reply.exception == kIllegalAddress && spare_input_) {
        spare_input_ = false;
        return;
    }
    if (reply.exception != 0) {
        rest(now);
        return;
    }
    stock_ = {};
    stock_.id = {box_source(cabinet_), run_, box_seq_ + 1};
    stock_.type = KeyEventType::inventory;
    stock_.word = to_string(stock_.type);
    stock_.origin = KeyOrigin::derived;
    for (std::size_t slot = 0; slot < reply.words.size(); ++slot)
        if (reply.words[slot] != 0) stock_.present.push_back(static_cast<int>(slot));
    stock_second_ = head_.utc_s;
    stock_until_ = now.mono_ms + kSettleMostMs;
    tag_slot_ = 1;
    step_ = tells_tags_ && !stock_.present.empty() ? Step::tags : Step::settle;
}

int KcmBoard::tags_at_once() const {
    return std::min(kTagsAtOnce, head_.slots - tag_slot_ + 1);
}

// Which key hangs where, of boards that can tell: keys that changed their slots while nobody
// listened are found so. A tag of 0 is none that could be read.
void KcmBoard::take_tags(const BoardReply& reply) {
    if (reply.exception != 0) {
        tells_tags_ = false;
        stock_.tags.clear();
        step_ = Step::settle;
        return;
    }
    for (std::size_t at = 0; at + kTagWords <= reply.words.size(); at += kTagWords, ++tag_slot_) {
        std::string tag = kcm_tag(std::span(reply.words).subspan(at, kTagWords));
        if (!tag.empty()) stock_.tags.push_back({tag_slot_, std::move(tag)});
    }
    if (tag_slot_ > head_.slots) step_ = Step::settle;
}

// What hangs there has its place after all that the log told and before all that it will tell. The
// board's clock has whole seconds, so it is waited for the next one: nothing new until then means
// that the end of that second is such a place, on the same clock as the log.
void KcmBoard::settle(const Moment& now) {
    if (head_.boot != before_boot_ || head_.newest > head_.acked) {
        before_boot_ = head_.boot;
        decide(now);
        return;
    }
    if (head_.utc_s <= stock_second_ && head_.utc_s != 0 && now.mono_ms < stock_until_) {
        due_ = now.mono_ms + kSettleMs;
        step_ = Step::settle;
        return;
    }
    stock_.at = head_.utc_s != 0 ? stock_second_ * 1'000 + 999 : now.wall_ms;
    KeyPush push;
    push.source = cabinet_;
    push.boot = run_;
    push.device_now = device_now(now);
    push.events.push_back(stock_);
    hands_log_ = false;
    hand(std::move(push));
}

}  // namespace gatehouse::cabinet
