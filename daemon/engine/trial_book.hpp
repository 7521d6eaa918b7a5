// The trial book: what an account on trial would owe by now, as a preview. Until live_from nothing
// of it stands in lines or ledger (account_book); it is priced into lines of its own that live in
// memory and are made anew from the stored days at each start. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// One meter's use of one day that ended during the trial.
void preview_day(const Context& context, AccountRuntime& account, const MeterRuntime& meter,
                 LocalDate day, Milli quantity);

// The opening balance less everything used since the trial began, posted days and today.
[[nodiscard]] Fen preview_balance(const Context& context, const World& world,
                                  const AccountRuntime& account);

// Of all accounts on trial, from the stored days. After a load.
void load_previews(Context& context, World& world);

}  // namespace gatehouse
