#include "drivers/cabinet/contacts.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::cabinet {
namespace {

constexpr std::size_t kPendingMax = 4'096;   // beyond it events are lost, and that is said
constexpr std::int64_t kBouncesMs = 10'000;  // a contact that does not settle is faulty
constexpr std::int64_t kHandAgainMs = 2'000;
constexpr int kDeviceInputs = 3, kIllegalAddress = 2;

}  // namespace

bool Contact::sample(bool level, const Moment& now, int samples) {
    if (level == level_) {
        differing_ = 0;
        // Bounce ends with the old level seen as often as a new one would have to be.
        if (unsettled_ && ++equal_ >= samples) unsettled_ = false;
        return false;
    }
    if (!unsettled_) since_ = now;
    unsettled_ = true;
    equal_ = 0;
    if (++differing_ < samples) return false;
    changed_at_ = since_.wall_ms;
    set(level);
    return true;
}

void Contact::set(bool level) {
    level_ = level;
    differing_ = equal_ = 0;
    unsettled_ = false;
}

std::int64_t Contact::unsettled_ms(const Moment& now) const {
    return unsettled_ ? now.mono_ms - since_.mono_ms : 0;
}

ContactsBoard::ContactsBoard(std::string cabinet, ContactMap map, std::int64_t poll_interval_ms,
                             std::int64_t run)
    : cabinet_(std::move(cabinet)),
      map_(std::move(map)),
      poll_interval_ms_(poll_interval_ms),
      run_(run),
      contacts_(map_.slots.size()),
      faults_(map_.faults_first ? map_.slots.size() : 0),
      bouncing_(map_.slots.size()) {
    const int count = static_cast<int>(map_.slots.size());
    reads_.push_back({map_.table, map_.first, count});
    if (map_.door && (*map_.door < map_.first || *map_.door >= map_.first + count))
        reads_.push_back({map_.table, *map_.door, map_.of_device ? 1 + kDeviceInputs : 1});
    if (map_.faults_first) reads_.push_back({map_.table, *map_.faults_first, count});
}

BoardAsk ContactsBoard::next(const Moment& now) {
    BoardAsk ask;
    if (reading_ == 0 && handed_ == 0 && !pending_.empty() && now.mono_ms >= hand_after_) {
        ask.kind = BoardAsk::Kind::hand;
        ask.push.source = cabinet_;
        ask.push.boot = run_;
        handed_ = std::min(pending_.size(), kPushMax);
        ask.push.events.assign(pending_.begin(),
                               pending_.begin() + static_cast<std::ptrdiff_t>(handed_));
        return ask;
    }
    if (reading_ == 0 && now.mono_ms < due_) {
        ask.until = due_;
        if (handed_ == 0 && !pending_.empty()) ask.until = std::min(due_, hand_after_);
        return ask;
    }
    if (reading_ == 0) {
        bits_.clear();
        begun_ = now;
        due_ = std::max(due_ + poll_interval_ms_, now.mono_ms);
    }
    ask.kind = BoardAsk::Kind::read;
    ask.span = reads_[reading_];
    return ask;
}

std::string ContactsBoard::answered(const BoardReply& reply, const Moment& now) {
    RegisterSpan& span = reads_[reading_];
    if (reply.exception == kIllegalAddress && map_.of_device && reading_ == 1 && span.count > 1) {
        span.count = 1;  // it has a door and tells nothing else of itself
        return "";
    }
    if (reply.exception != 0) {
        failed(now);
        return "the board refuses its inputs from " + std::to_string(span.first) +
               " on with exception " + std::to_string(reply.exception) + "; is the profile right?";
    }
    for (const std::uint16_t word : reply.words) bits_.push_back(word != 0);
    if (++reading_ < reads_.size()) return "";
    reading_ = 0;
    take(bits_, begun_);
    return "";
}

void ContactsBoard::failed(const Moment& now) {
    reading_ = 0;
    due_ = now.mono_ms + poll_interval_ms_;
}

void ContactsBoard::committed(bool kept, const Moment& now) {
    if (kept)
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(handed_));
    else
        hand_after_ = now.mono_ms + kHandAgainMs;
    handed_ = 0;
    if (lost_from_ != 0 && pending_.size() < kPendingMax / 2) end_loss();
}

bool ContactsBoard::present(const std::vector<bool>& bits, std::size_t input) const {
    return bits[input] != map_.inverted[input];
}

void ContactsBoard::take(const std::vector<bool>& bits, const Moment& now) {
    const std::size_t count = map_.slots.size();
    if (stock_due_) take_stock(bits, now);
    for (std::size_t i = 0; i < count; ++i) {
        if (map_.slots[i] == 0) continue;
        take_slot(i, present(bits, i), now);
        if (map_.faults_first) take_fault(i, bits[bits.size() - count + i], now);
    }
    if (!map_.door) return;
    const bool apart = reads_.size() > 1 && reads_[1].first == *map_.door;
    const std::size_t at = apart ? count : static_cast<std::size_t>(*map_.door - map_.first);
    take_door(bits[at] != map_.door_inverted, now);
    if (apart && map_.of_device && reads_[1].count > 1) take_device(at + 1, bits, now);
}

// Everything at once, without a change: who moved what while nobody looked is not for us to say.
void ContactsBoard::take_stock(const std::vector<bool>& bits, const Moment& now) {
    stock_due_ = false;
    KeyEvent& event = begin(KeyEventType::inventory, now.wall_ms, std::nullopt);
    for (std::size_t i = 0; i < map_.slots.size(); ++i) {
        if (map_.slots[i] == 0) continue;
        contacts_[i].set(present(bits, i));
        if (present(bits, i)) event.present.push_back(map_.slots[i]);
    }
    std::sort(event.present.begin(), event.present.end());
    tell(event);
}

void ContactsBoard::take_slot(std::size_t input, bool here, const Moment& now) {
    Contact& contact = contacts_[input];
    const int slot = map_.slots[input];
    if (contact.sample(here, now, map_.samples))
        tell(begin(here ? KeyEventType::key_returned : KeyEventType::key_removed,
                   contact.changed_at(), slot));
    const bool bounces = contact.unsettled_ms(now) >= kBouncesMs;
    if (bounces == bouncing_[input]) return;
    if (!bounces && contact.unsettled_ms(now) > 0) return;
    bouncing_[input] = bounces;
    KeyEvent& event = begin(KeyEventType::key_fault, now.wall_ms, slot);
    event.begins = bounces;
    event.detail = "unsettled";
    tell(event);
}

void ContactsBoard::take_fault(std::size_t input, bool faulty, const Moment& now) {
    Contact& contact = faults_[input];
    if (!contact.sample(faulty, now, map_.samples)) return;
    KeyEvent& event = begin(KeyEventType::key_fault, contact.changed_at(), map_.slots[input]);
    event.begins = faulty;
    tell(event);
}

// A door that stood open when we came was opened by nobody that we know of: no event.
void ContactsBoard::take_door(bool open, const Moment& now) {
    if (!known_) {
        known_ = true;
        door_.set(open);
        return;
    }
    if (!door_.sample(open, now, map_.samples)) return;
    KeyEvent& event = begin(open ? KeyEventType::door_opened : KeyEventType::door_closed,
                            door_.changed_at(), std::nullopt);
    event.door = 1;
    tell(event);
}

// What is wrong is told as it was found as well, since nobody else would; that the housing is shut,
// so that what an earlier life told of it has an end.
void ContactsBoard::take_device(std::size_t at, const std::vector<bool>& bits, const Moment& now) {
    const bool open = bits[at], mains = bits[at + 1], low = bits[at + 2];
    if (!std::exchange(device_known_, true)) {
        housing_.set(open);
        mains_.set(mains);
        battery_.set(low);
        tell_housing(open, now.wall_ms);
        if (!mains) tell_power("lost", now.wall_ms, true);
        if (low) tell_power("battery_low", now.wall_ms, true);
        return;
    }
    if (housing_.sample(open, now, map_.samples)) tell_housing(open, housing_.changed_at());
    if (mains_.sample(mains, now, map_.samples))
        tell_power(mains ? "restored" : "lost", mains_.changed_at(), true);
    if (battery_.sample(low, now, map_.samples))
        tell_power("battery_low", battery_.changed_at(), low);
}

void ContactsBoard::tell_housing(bool open, UtcMs at) {
    KeyEvent& event = begin(KeyEventType::tamper, at, std::nullopt);
    event.begins = open;
    tell(event);
}

void ContactsBoard::tell_power(const char* detail, UtcMs at, bool begins) {
    KeyEvent& event = begin(KeyEventType::power, at, std::nullopt);
    event.detail = detail;
    event.begins = begins;
    tell(event);
}

KeyEvent& ContactsBoard::begin(KeyEventType type, UtcMs at, std::optional<int> slot) {
    scratch_ = {};
    scratch_.type = type;
    scratch_.word = to_string(type);
    scratch_.origin = KeyOrigin::derived;
    scratch_.at = at;
    scratch_.slot = slot;
    return scratch_;
}

void ContactsBoard::tell(KeyEvent event) {
    event.id = {cabinet_, run_, ++seq_};
    if (pending_.size() < kPendingMax && lost_from_ == 0) {
        pending_.push_back(std::move(event));
        return;
    }
    if (lost_from_ == 0) lost_from_ = seq_;
    lost_through_ = seq_;
}

// Nobody took them for so long that memory ended; what is missing is told with its exact range.
void ContactsBoard::end_loss() {
    KeyEvent event;
    event.id = {cabinet_, run_, lost_from_};
    event.type = KeyEventType::log_overwritten;
    event.word = to_string(event.type);
    event.origin = KeyOrigin::derived;
    event.from = lost_from_;
    event.through = lost_through_;
    event.at = pending_.empty() ? 0 : pending_.back().at;
    pending_.push_back(std::move(event));
    lost_from_ = lost_through_ = 0;
    stock_due_ = true;
}

}  // namespace gatehouse::cabinet
