// Alerts about keys, cabinets and tickets: moves what is open to what core says holds now. The
// envelope is that of every alert (CONTRACT.md 4). Engine thread only.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/key_watch.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// By which flats a row about that key is found: those that it opens, where it opens few.
void name_units(std::vector<std::string>& about, const Key& key);

// log_gap is a word of the daemon's own log as well; that one is about the site.
[[nodiscard]] bool is_key_alert(const Context& context, const AlertRow& row);

// `facts` are those that the fold still knows: an alert about one that is no more among them, and
// not older than the fold looks, was a mistake and is cleared as such; an older one ends by its end
// among `ends`.
using KeyEnds = std::map<std::pair<KeyFactKind, std::string>, UtcMs>;
// Whether an event is folded for good, so that no late one changes what came of it.
using IsSettled = std::function<bool(const KeyEventId&)>;
// How often an alert has happened is a function of what is known, whatever the order it came in.
void move_key_alerts(Context& context, const std::vector<KeyCondition>& conditions,
                     const std::vector<KeyFact>& facts, const KeyEnds& ends,
                     const IsSettled& settled);

// Which events an open alert misses, and the one that came behind them.
struct OpenGap {
    std::string alert;
    KeyEventId event;
    SeqGap gap;
};
[[nodiscard]] std::vector<OpenGap> open_gaps(const Context& context);
// What was missing has come, after the fold had looked there for the last time.
void close_gap(Context& context, const OpenGap& gap);

// A call for help is looked into by a manager, and by nobody who may have been forced.
[[nodiscard]] bool may_acknowledge(const Context& context, const OpenAlert& alert,
                                   const AckAlert& command);
// Its acknowledgement; what only waited for that ends with the next look.
void acknowledge_key_alert(Context& context, OpenAlert& alert, const AckAlert& command);

}  // namespace gatehouse
