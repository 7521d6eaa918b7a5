#include "daemon/engine/key_numberings.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/key_custody.hpp"
#include "daemon/engine/key_codec.hpp"

namespace gatehouse {
namespace {

constexpr const char* kKind = "numbering";  // of key_base: the source -> its serial
constexpr int kBootsBack = 8;               // in whose events a repetition is looked for

// Whether the cabinet says the same again; what the box made of it may have changed.
KeptAs compared(const KeyEvent& before, const KeyEvent& again) {
    const bool happening =
        before.type == again.type && before.slot == again.slot && before.tag == again.tag;
    const bool time =
        before.device_at.value_or(before.at) == (again.at == 0 ? before.at : again.at);
    if (happening && time) return KeptAs::same;
    return happening || time ? KeptAs::other : KeptAs::reused;
}

std::optional<KeyEvent> known_as(KeyBooks& books, const KeyNumberings::Pending& pending,
                                 const KeyEventId& id) {
    const auto waiting = pending.find(id);
    if (waiting != pending.end()) return waiting->second;
    const auto body = books.event_body(id.source, id.boot, id.seq);
    if (!body) return std::nullopt;
    KeyEvent event;
    from_book(*body, event);
    return event;
}

Kept kept_as(KeyBooks& books, const KeyNumberings::Pending& pending, const std::string& source,
             const KeyEvent& said) {
    const auto before = known_as(books, pending, {source, said.id.boot, said.id.seq});
    if (!before) return {};
    // A loss stands in the place of its first event and is none of the board's own rows.
    const auto lost = KeyEventType::log_overwritten;
    if ((before->type == lost) != (said.type == lost)) return {};
    return {compared(*before, said), before->at};
}

// In all its words, its own time among them: no cabinet says such a thing twice.
bool is_told_again(const KeyEvent& before, const KeyEvent& said, const KeyEvent& resolved) {
    return said.at != 0 && compared(before, said) == KeptAs::same && before.door == said.door &&
           before.begins == said.begins && before.detail == said.detail &&
           before.card == resolved.card;
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
        Newest newest;
        for (const KeyBooks::BootRow& row : books.boots(source)) {
            if (row.last != 0) numbering.boots[row.boot] = {row.first, row.last};
            newest[row.boot] = row.seq;
        }
        cabinet.numberings.push_back(std::move(numbering));
        cabinet.newest.push_back(std::move(newest));
    }
    return cabinet;
}

const std::string& KeyNumberings::current(KeyBooks& books, const std::string& id) {
    return cabinet(books, id).numberings.back().source;
}

// The numbering of what a cabinet pushes.
std::size_t KeyNumberings::pushed_to(const Cabinet& known, const std::vector<Kept>& kept,
                                     const Pending& pending, const KeyPush& push,
                                     const KeyEvent& said, const KeyEvent& resolved) {
    const std::vector<Numbering>& all = known.numberings;
    const bool own_clock =
        resolved.clocked || (said.at != 0 && resolved.at != resolved.received_at);
    std::size_t chosen = choose(all, kept, push, said.id.boot,
                                own_clock ? std::optional(resolved.at) : std::nullopt);
    // One push is told from one memory: where the event before it went, it goes too.
    for (std::size_t i = 0; i < all.size(); ++i)
        if (kept[i].as == KeptAs::nothing &&
            pending.contains({all[i].source, said.id.boot, said.id.seq - 1}))
            chosen = i;
    if (chosen + 1 != all.size() || kept[chosen].as != KeptAs::nothing) return chosen;
    // Its numbers came to their end and began again, or this is a late one from before that.
    const auto newest = [&](std::size_t i) {
        const auto boot = known.newest[i].find(said.id.boot);
        return boot == known.newest[i].end() ? -1 : boot->second;
    };
    if (is_beyond_wrap(newest(chosen), said.id.seq)) return all.size();
    const bool late = chosen > 0 && is_beyond_wrap(newest(chosen - 1), newest(chosen)) &&
                      is_beyond_wrap(said.id.seq, newest(chosen));
    return late ? chosen - 1 : chosen;
}

KeyNumberings::Place KeyNumberings::place(KeyBooks& books, const Pending& pending,
                                          const KeyPush& push, const KeyEvent& said,
                                          const KeyEvent& resolved) {
    const Cabinet& known = cabinet(books, push.source);
    const std::vector<Numbering>& all = known.numberings;
    std::vector<Kept> kept;
    for (const Numbering& one : all) kept.push_back(kept_as(books, pending, one.source, said));
    const Newest& newest = known.newest.back();
    std::size_t chosen = all.size() - 1;
    if (push.newest) {
        const bool anew =
            !newest.empty() &&
            counts_anew(push.boot, *push.newest, newest.rbegin()->first, newest.rbegin()->second);
        const KeptAs there = kept.back().as;
        if (anew || there == KeptAs::other || there == KeptAs::reused) chosen = all.size();
    } else {
        chosen = pushed_to(known, kept, pending, push, said, resolved);
    }
    Place place;
    place.boot = said.id.boot;
    if (chosen == all.size()) {
        place.source = numbering_source(push.source, chosen + 1);
        place.begins = true;
        const auto boot = newest.find(said.id.boot);
        place.wraps = boot != newest.end() && is_beyond_wrap(boot->second, said.id.seq);
        return place;
    }
    place.source = all[chosen].source;
    place.kept = kept[chosen].as;
    // What was kept and not acknowledged comes again under the boot that the cabinet has by now.
    const Newest& there = known.newest[chosen];
    int left = kBootsBack;
    for (auto boot = there.rbegin(); boot != there.rend() && left > 0; ++boot) {
        const bool other = boot->first != said.id.boot && place.kept == KeptAs::nothing;
        if (!other || boot->second < said.id.seq) continue;
        --left;
        const auto before = known_as(books, pending, {place.source, boot->first, said.id.seq});
        if (!before || !is_told_again(*before, said, resolved)) continue;
        place.boot = boot->first;
        place.kept = KeptAs::same;
    }
    // A cabinet that is asked from above 1 on, under a boot that told nothing yet, goes on
    // counting.
    auto boot = there.upper_bound(said.id.boot);
    const bool goes_on = push.newest && said.id.seq > 1;
    if (boot != there.begin() && ((--boot)->first == said.id.boot || goes_on))
        place.kept_through = boot->second;
    return place;
}

void KeyNumberings::keep(KeyBooks& books, const KeyPush& push, const Place& place,
                         const KeyEvent& event) {
    Cabinet& known = cabinet(books, push.source);
    if (place.begins) {
        known.numberings.push_back({place.source, push.serial, {}});
        known.newest.emplace_back();
    }
    const auto at = std::find_if(known.numberings.begin(), known.numberings.end(),
                                 [&](const Numbering& one) { return one.source == place.source; });
    if (place.begins || (at->serial.empty() && !push.serial.empty())) {
        at->serial = push.serial;
        books.put_base(kKind, place.source, at->serial);
    }
    if (event.clocked || event.at != event.received_at) widen(at->boots, event.id.boot, event.at);
    Newest& newest = known.newest[static_cast<std::size_t>(at - known.numberings.begin())];
    const auto boot = newest.emplace(event.id.boot, event.id.seq).first;
    boot->second = std::max(boot->second, event.id.seq);
}

}  // namespace gatehouse
