#include "daemon/engine/space_desk.hpp"

#include <utility>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_desk.hpp"
#include "daemon/engine/money_desk.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kLookEveryMs = 1'000;

}  // namespace

SpaceDesk::SpaceDesk(Context& context, std::function<void()> commit,
                     std::function<void(const std::string&)> say)
    : context_(context), commit_(std::move(commit)), say_(std::move(say)) {}

void SpaceDesk::look() {
    if (looked_mono_ms_ && context_.now.mono_ms - *looked_mono_ms_ < kLookEveryMs) return;
    move(false);
}

void SpaceDesk::move(bool write_failed) {
    looked_mono_ms_ = context_.now.mono_ms;
    const StoreSpace space = context_.store.space();
    const SpaceState before = context_.space;
    SpaceState next =
        step_space(before, {space.free_bytes, space.reserve_bytes, space.held, write_failed});
    if (next == SpaceState::reserve && space.held) {
        if (context_.store.in_transaction()) commit_();
        context_.space = next;
        moved_ = true;
        context_.store.release_reserve();
    }
    if (next != SpaceState::reserve && !space.held && !context_.store.take_reserve())
        next = SpaceState::reserve;
    context_.space = next;
    if (next == before) return;
    moved_ = true;
    const std::string reason = space_reason(next);
    say_("space beside the books: " + std::string(to_string(next)) + ", " +
         std::to_string(space.free_bytes / 1'024) + " KiB were free; " +
         (reason.empty() ? "everything is stored" : reason));
}

bool SpaceDesk::give_up(const StoreError& error) {
    if (error.kind != StoreError::Kind::full || !context_.store.space().held) return false;
    move(true);
    return true;
}

void SpaceDesk::log() {
    if (!moved_) return;
    moved_ = false;
    JsonWriter body;
    body.begin_object()
        .field("state", to_string(context_.space))
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, "store.space", "{}", body.take());
}

bool SpaceDesk::fits(const Command& command) const {
    if (context_.space != SpaceState::reserve) return true;
    if (const TopUp* top_up = std::get_if<TopUp>(&command))
        return is_known(context_, {"topup", top_up->idempotency_key, top_up->body_hash});
    if (const std::optional<KeyedRequest> act = act_request(command))
        return is_known(context_, *act);
    if (const ImportRegistry* import = std::get_if<ImportRegistry>(&command))
        return import->dry_run;
    // Little, and nothing that asks for more.
    return std::holds_alternative<MqttCursor>(command) ||
           std::holds_alternative<AckAlert>(command) ||
           std::holds_alternative<TouchToken>(command) ||
           std::holds_alternative<RevokeToken>(command) ||
           std::holds_alternative<NoteView>(command) ||
           std::holds_alternative<ChangeSettings>(command) ||
           std::holds_alternative<ConfirmClock>(command);
}

std::string space_reason(SpaceState state) {
    switch (state) {
        case SpaceState::low:
            return "space runs low: interval readings are not stored; free some on the disk";
        case SpaceState::reserve:
            return "the disk is full: top-ups are refused and interval readings are not stored; "
                   "charges and alerts go on in the reserve; free some space";
        case SpaceState::plenty:
            break;
    }
    return "";
}

Reply disk_full() {
    return refusal(ReplyKind::unavailable, "disk-full",
                   "the disk of the books is full; nothing was booked. Free space on it, then ask "
                   "again with the same key; reading, charges and alerts go on meanwhile");
}

}  // namespace gatehouse
