// The trial book: what an account on trial would owe by now, as a preview. Until live_from nothing
// of it stands in lines or ledger (account_book); it is priced into lines of its own that live in
// memory and are made anew from the stored days at each start. Engine thread only.
#pragma once

#include "daemon/engine/world.hpp"

namespace gatehouse {

// One meter's use in the interval in which `at` lies, where that is during the trial.
void preview_use(const Context& context, const World& world, AccountRuntime& account,
                 const MeterRuntime& meter, UtcMs at, Milli quantity);

// The opening balance less everything used since the trial began, posted days and today, the fixed
// fees of its posted days and the minimums of its whole months.
[[nodiscard]] Fen preview_balance(const Context& context, const World& world,
                                  const AccountRuntime& account);

// Of all accounts on trial, from the stored days. After a load. Where prices change with the hour a
// day of before the load is priced by its last hour alone.
void load_previews(Context& context, World& world);

}  // namespace gatehouse
