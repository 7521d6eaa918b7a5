#include "daemon/repairs_filer.hpp"

#include <utility>

#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/repair_summary.hpp"
#include "daemon/http/app.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kLookEveryMs = 600'000;

}  // namespace

bool RepairsFiler::look(MonoMs now) {
    const auto snapshot = engine_.snapshot();
    if (!snapshot->clock_trusted) return true;
    // The local day decides; ten minutes are for a month that was not taken at once.
    const LocalDate today = zone_.local(snapshot->now_ms).date;
    if (now < due_ && today == looked_on_) return true;
    looked_on_ = today;
    due_ = now + kLookEveryMs;
    try {
        return file(*snapshot);
    } catch (const StoreError&) {  // the next look is in ten minutes
        return false;
    }
}

bool RepairsFiler::file(const Snapshot& snapshot) {
    StoreReader reader(path_);
    KeyBooks books = reader.key_books();
    const auto month = month_to_file(books, snapshot.now_ms, zone_);
    if (!month) return true;
    WriteRegister row;
    row.kind = kRepairsFiled;
    row.subject = format_date(*month).substr(0, 7);
    row.event = "repairs.frozen";
    row.by_itself = row.once = true;
    row.body = filed_repairs(books, *month, zone_, currency_);
    JsonWriter log;
    log.begin_object().field("month", row.subject).field("sha256", http::sha256_hex(row.body));
    log.field("by_itself", true).end_object();
    row.log_body = log.take();
    RoomCommand command;
    command.work = std::make_shared<const RoomWork>(RoomWork{std::move(row)});
    return engine_.submit(std::move(command), [](const Reply&) {});
}

}  // namespace gatehouse
