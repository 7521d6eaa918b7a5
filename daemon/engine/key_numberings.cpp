#include "daemon/engine/key_numberings.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/key_custody.hpp"
#include "daemon/engine/key_codec.hpp"

namespace gatehouse {
namespace {

constexpr const char* kKind = "numbering";  // of key_base: the source -> its serial

// Whether the cabinet says the same again; what the box made of it may have changed.
KeptAs compared(const KeyEvent& before, const KeyEvent& again) {
    const bool happening =
        before.type == again.type && before.slot == again.slot && before.tag == again.tag;
    const bool time =
        before.device_at.value_or(before.at) == (again.at == 0 ? before.at : again.at);
    if (happening && time) return KeptAs::same;
    return happening || time ? KeptAs::other : KeptAs::reused;
}

Kept kept_as(KeyBooks& books, const KeyNumberings::Pending& pending, const std::string& source,
             const KeyEvent& said) {
    KeyEvent before;
    const auto waiting = pending.find({source, said.id.boot, said.id.seq});
    if (waiting != pending.end()) {
        before = waiting->second;
    } else {
        const auto body = books.event_body(source, said.id.boot, said.id.seq);
        if (!body) return {};
        from_book(*body, before);
    }
    // A loss stands in the place of its first event and is none of the board's own rows.
    const auto lost = KeyEventType::log_overwritten;
    if ((before.type == lost) != (said.type == lost)) return {};
    return {compared(before, said), before.at};
}

void widen(std::map<std::int64_t, BootSpan>& boots, std::int64_t boot, UtcMs at) {
    const auto [span, fresh] = boots.emplace(boot, BootSpan{at, at});
    if (fresh) return;
    span->second.first = std::min(span->second.first, at);
    span->second.last = std::max(span->second.last, at);
}

// A cabinet that pushes. Those that name their board's serial are judged among what that one told.
std::size_t choose(const std::vector<Numbering>& all, const std::vector<Kept>& kept,
                   const KeyPush& push, std::int64_t boot, std::optional<UtcMs> at) {
    if (push.serial.empty()) return numbering_of(all, kept, boot, at);
    std::vector<std::size_t> own;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].serial == push.serial) own.push_back(i);
    // Perhaps the board is the same, and says its serial from now on.
    const bool new_word = own.empty() && all.back().serial.empty();
    if (new_word) own.push_back(all.size() - 1);
    std::vector<Numbering> numberings;
    std::vector<Kept> kept_there;
    for (const std::size_t i : own) {
        numberings.push_back(all[i]);
        kept_there.push_back(kept[i]);
    }
    const std::size_t chosen = numbering_of(numberings, kept_there, boot, at);
    return chosen == own.size() ? all.size() : own[chosen];
}

}  // namespace

KeyNumberings::Cabinet& KeyNumberings::cabinet(KeyBooks& books, const std::string& id) {
    const auto [at, fresh] = cabinets_.try_emplace(id);
    Cabinet& cabinet = at->second;
    if (!fresh) return cabinet;
    std::map<std::string, std::string> serials;
    for (auto& [source, serial] : books.bases(kKind)) serials.emplace(source, std::move(serial));
    for (std::size_t n = 1;; ++n) {
        const std::string source = numbering_source(id, n);
        const auto serial = serials.find(source);
        if (n > 1 && serial == serials.end()) break;
        Numbering numbering;
        numbering.source = source;
        if (serial != serials.end()) numbering.serial = serial->second;
        cabinet.newest_boot = 0;
        cabinet.newest_seq = -1;
        for (const KeyBooks::BootRow& row : books.boots(source)) {
            if (row.last != 0) numbering.boots[row.boot] = {row.first, row.last};
            cabinet.newest_boot = row.boot;
            cabinet.newest_seq = row.seq;
        }
        cabinet.numberings.push_back(std::move(numbering));
    }
    return cabinet;
}

const std::string& KeyNumberings::current(KeyBooks& books, const std::string& id) {
    return cabinet(books, id).numberings.back().source;
}

KeyNumberings::Place KeyNumberings::place(KeyBooks& books, const Pending& pending,
                                          const KeyPush& push, const KeyEvent& said,
                                          const KeyEvent& resolved) {
    const Cabinet& known = cabinet(books, push.source);
    const std::vector<Numbering>& all = known.numberings;
    std::vector<Kept> kept;
    for (const Numbering& one : all) kept.push_back(kept_as(books, pending, one.source, said));
    std::size_t chosen = all.size() - 1;
    if (push.newest) {
        const bool anew = known.newest_seq >= 0 &&
                          counts_anew(push.boot, *push.newest, known.newest_boot, known.newest_seq);
        const KeptAs there = kept.back().as;
        if (anew || there == KeptAs::other || there == KeptAs::reused) chosen = all.size();
    } else {
        const bool own_clock =
            resolved.clocked || (said.at != 0 && resolved.at != resolved.received_at);
        chosen = choose(all, kept, push, said.id.boot,
                        own_clock ? std::optional(resolved.at) : std::nullopt);
        // One push is told from one memory: where the event before it went, it goes too.
        for (std::size_t i = 0; i < all.size(); ++i)
            if (kept[i].as == KeptAs::nothing &&
                pending.contains({all[i].source, said.id.boot, said.id.seq - 1}))
                chosen = i;
    }
    if (chosen == all.size())
        return {numbering_source(push.source, chosen + 1), KeptAs::nothing, true};
    return {all[chosen].source, kept[chosen].as, false};
}

void KeyNumberings::keep(KeyBooks& books, const KeyPush& push, const Place& place,
                         const KeyEvent& event) {
    Cabinet& known = cabinet(books, push.source);
    if (place.begins) {
        known.numberings.push_back({place.source, push.serial, {}});
        known.newest_boot = 0;
        known.newest_seq = -1;
    }
    const auto at = std::find_if(known.numberings.begin(), known.numberings.end(),
                                 [&](const Numbering& one) { return one.source == place.source; });
    if (place.begins || (at->serial.empty() && !push.serial.empty())) {
        at->serial = push.serial;
        books.put_base(kKind, place.source, at->serial);
    }
    if (event.clocked || event.at != event.received_at) widen(at->boots, event.id.boot, event.at);
    if (std::next(at) != known.numberings.end()) return;
    const auto newest = std::pair{known.newest_boot, known.newest_seq};
    if (known.newest_seq >= 0 && std::pair{event.id.boot, event.id.seq} <= newest) return;
    known.newest_boot = event.id.boot;
    known.newest_seq = event.id.seq;
}

}  // namespace gatehouse
