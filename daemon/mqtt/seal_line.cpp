#include "daemon/mqtt/seal_line.hpp"

#include <algorithm>

#include "daemon/engine/json_writer.hpp"
#include "daemon/mqtt/routes.hpp"

namespace gatehouse::mqtt {
namespace {

constexpr std::int64_t kLookMs = 60'000;

}  // namespace

void SealLine::forget() {
    greeted_ = under_way_ = false;
    head_.reset();
    next_look_ = 0;
}

std::optional<Message> SealLine::next(Source& source, MonoMs now) {
    if (under_way_) return std::nullopt;
    if (!head_) {
        if (now < next_look_) return std::nullopt;
        next_look_ = now + kLookMs;
        if (!known_) told_ = source.seal_told();
        known_ = true;
        head_ = source.seal_after(told_);
        // Where nothing is new, a broker that lost its state still gets the newest again.
        if (!head_ && !greeted_) head_ = source.newest_seal();
        if (!head_) return std::nullopt;
    }
    JsonWriter json;
    json.begin_object().field("schema", 1).field("date", head_->date);
    json.field("seq", head_->seq).field("h", head_->h).end_object();
    return Message{full_topic(settings_, "bridge/seal"), json.take(), 1, true};
}

void SealLine::handed_over() {
    under_way_ = greeted_ = true;
}

void SealLine::acknowledged() {
    under_way_ = false;
    if (!head_) return;
    told_ = std::max(told_, head_->date);
    head_.reset();
    next_look_ = 0;  // the next day may wait already
}

}  // namespace gatehouse::mqtt
