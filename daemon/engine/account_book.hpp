// The account book: prices what meters used, posts it at edges, keeps the three balances and has
// the level judged. It carries what core/settlement, core/ledger and core/alert decide into rows.
// It reads no meter (meter_book hands it totals). Engine thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/ledger.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// A ladder counter older than this is forgotten in memory: longer than any ladder's year.
inline constexpr std::int64_t kCountersDays = 800;

// Longer than that a top-up waits for no meter: every one that can be read was read by then.
inline constexpr std::int64_t kTopUpWaitMs = 600'000;

// What moved the balance, for `cleared_by` and for how hysteresis treats it.
enum class Mover { drift, topup, correction };

// Computes balance, provisional balance, days left and quality anew and has the level judged.
// Writes nothing but alerts, and those only where the store can be written.
void reprice(Context& context, std::size_t account, Mover mover);

// The level that the account would have if its meter stood at `total`: what asks for an immediate
// second exchange.
[[nodiscard]] int level_if(const Context& context, std::size_t account, std::size_t meter,
                           Milli total);

// The oldest month whose lines the account's meters may still add to: that of the oldest use which
// is not posted. Lines before it need not stand in memory.
[[nodiscard]] std::string lines_needed(const Context& context, const World& world,
                                       const AccountRuntime& account);

// Posts every day that has ended and whose meters are in, oldest first, until `deadline_mono_ms`;
// true where some are left because time ran out. It begins with the account `next` and leaves
// there the one to go on with, so that none waits for ever behind others.
[[nodiscard]] bool post_days(Context& context, MonoMs started_mono_ms, const Clock& clock,
                             MonoMs deadline_mono_ms, std::size_t& next);

// The same for one account and the days that had ended by then, without waiting for anything: its
// meters were just frozen.
void post_ended_days(Context& context, std::size_t account, UtcMs until);

// Posts some meters' freezes up to an edge under a cause of their own: late:<reading>,
// registry:<seq>, meter:<epoch>. Once for each key, which is the cause where none is given; false
// where it was posted already.
bool post_meters(Context& context, std::size_t account, const std::vector<std::size_t>& meters,
                 UtcMs up_to_edge, const std::string& cause, const std::string& key = {});

// Whether its ended days are posted, one after the other.
[[nodiscard]] bool posts_days(const AccountRuntime& account);

// The month that an entry of now belongs to.
[[nodiscard]] std::string booking_month(const Context& context);

// Books an entry with its event; returns the event's seq. The entry's id, receipt and month are
// drawn here.
std::uint64_t book_entry(Context& context, std::size_t account, Entry entry, EntryExtra extra,
                         std::int64_t line = 0);

// Opening balance and ladder of an account that goes live now; once. The ladder's opening is of the
// period in which that day lies.
void book_opening(Context& context, std::size_t account, LocalDate day);

}  // namespace gatehouse
