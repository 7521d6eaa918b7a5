#include "daemon/engine/period_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kNamedMax = 20;

std::optional<PeriodRow> find_period(Context& context, const std::string& month) {
    for (PeriodRow& row : context.store.load_periods())
        if (row.month == month) return std::move(row);
    return std::nullopt;
}

Reply stands(const PeriodRow& row) {
    Reply reply;
    JsonWriter json;
    json.begin_object()
        .field("month", row.month)
        .field("state", row.state == PeriodRow::State::closed ? "closed" : "closing")
        .field("last_entry", row.last_entry)
        .field("last_reading", row.last_reading)
        .end_object();
    reply.json = json.take();
    return reply;
}

// Days are posted when every meter that answers has its freeze, five minutes after midnight at the
// latest, so an open one is waited for.
Reply unposted(const Context& context, const std::string& month, LocalDate last) {
    Reply reply;
    std::size_t count = 0;
    for (const AccountRuntime& account : context.world.accounts) {
        if (!posts_days(account) || *account.posted_through >= last) continue;
        if (++count > kNamedMax) continue;
        reply.errors.push_back({"/accounts/" + account.row->account,
                                "posted up to " + format_date(*account.posted_through) +
                                    "; the days up to " + format_date(last) +
                                    " are posted within minutes of a trusted clock"});
    }
    if (count == 0) return reply;
    reply.kind = ReplyKind::conflict;
    reply.type = "period-unposted";
    reply.detail = std::to_string(count) + " accounts have days of " + month +
                   " that are not posted yet; wait some minutes and close it again";
    return reply;
}

Reply nobody(const std::string& by) {
    Reply reply = refusal(ReplyKind::invalid, "invalid", "`" + by + "` is nobody in staff.csv");
    reply.errors.push_back({"/by", reply.detail});
    return reply;
}

Reply not_closing(const std::string& month, const std::optional<PeriodRow>& row) {
    return refusal(ReplyKind::conflict, "period-order",
                   month + (row ? " is closed already" : " is not closing"));
}

}  // namespace

Reply begin_period(Context& context, const BeginPeriod& command) {
    const std::optional<LocalDate> month = parse_month(command.month);
    if (!month)
        return refusal(ReplyKind::not_found, "not-found",
                       "`" + command.month + "` is no month such as 2026-11");
    if (!context.world.staff.contains(command.by)) return nobody(command.by);
    if (const auto row = find_period(context, command.month)) return stands(*row);
    if (!context.clock.trusted())
        return refusal(ReplyKind::refused, "clock",
                       "a month ends by the clock and the clock is not trusted (" +
                           context.clock.reason() +
                           "); confirm it with `gatehousectl clock confirm` first");
    const LocalDate next = next_month(*month);
    const LocalDate last = date_from_days(days_since_epoch(next) - 1);
    if (context.now_ms() < context.zone.midnight(next))
        return refusal(ReplyKind::conflict, "period-running",
                       command.month + " runs until the end of " + format_date(last) +
                           "; close it after that");
    const std::string oldest = context.store.oldest_month();
    if (oldest.empty() || command.month < oldest)
        return refusal(ReplyKind::not_found, "not-found",
                       "the books hold nothing of " + command.month +
                           (oldest.empty() ? "" : "; they begin with " + oldest));
    const std::string& sealed = context.world.sealed_through;
    const std::string due = sealed.empty() ? oldest : month_scope(next_month(*parse_month(sealed)));
    const std::optional<PeriodRow> before =
        sealed.empty() ? std::nullopt : find_period(context, sealed);
    const std::string first =
        before && before->state == PeriodRow::State::closing ? before->month : due;
    if (command.month != first)
        return refusal(ReplyKind::conflict, "period-order",
                       "months are closed in order and " + first + " is open; close that first");
    if (Reply reply = unposted(context, command.month, last); !reply.type.empty()) return reply;
    PeriodRow row;
    row.month = command.month;
    row.by = command.by;
    row.last_entry = context.store.last(Series::entry);
    row.last_reading = context.store.last(Series::reading);
    context.store.begin_period(row);
    context.world.sealed_through = row.month;
    return stands(row);
}

Reply keep_period_part(Context& context, const KeepPeriodPart& command) {
    const std::optional<PeriodRow> row = find_period(context, command.month);
    if (!row || row->state != PeriodRow::State::closing) return not_closing(command.month, row);
    context.store.keep_period_part(command.month, command.name, command.n, command.deflated);
    return stands(*row);
}

Reply seal_period(Context& context, const SealPeriod& command) {
    std::optional<PeriodRow> row = find_period(context, command.month);
    if (!row || row->state != PeriodRow::State::closing) return not_closing(command.month, row);
    row->by = command.by;
    row->event = context.store.next(Series::event);
    JsonWriter body;
    body.begin_object()
        .field("schema", 1)
        .field("period", row->month)
        .field("by", row->by)
        .field("authenticated", context.vouched(row->by))
        .field("last_entry", row->last_entry)
        .field("last_reading", row->last_reading)
        .key("files")
        .begin_array();
    for (const PeriodFile& file : command.files)
        body.begin_object()
            .field("name", file.name)
            .field("sha256", file.sha256)
            .field("bytes", file.bytes)
            .end_object();
    body.end_array().field("at", context.iso(context.now_ms())).end_object();
    const std::uint64_t event =
        log_event(context, "period.closed", "{\"period\":\"" + row->month + "\"}", body.take(),
                  {"period:" + row->month});
    GH_ASSERT(event == row->event);
    row->state = PeriodRow::State::closed;
    context.store.seal_period(*row, command.files);
    return stands(*row);
}

}  // namespace gatehouse
