#include "daemon/engine/remap_desk.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/money_desk.hpp"
#include "daemon/engine/registry_acts.hpp"

namespace gatehouse {
namespace {

// A meter that counted for others than it was charged to.
struct Moving {
    std::size_t meter = 0;
    Terms before, after;
    MarkRow mark;            // how far its use stood in the lines when it was looked at
    std::uint64_t step = 0;  // the newest then
};

struct Remap {
    std::size_t meter = 0;
    std::optional<std::size_t> with;  // else the unit has no meter to give
    std::string unit;
    LocalDate day;
    UtcMs from = 0;
    std::vector<Moving> moving;
    std::shared_ptr<const Registry> registry;  // as it was looked at
};

// The two meters change places, or the one goes to the unit and is charged as that is.
void set_right(Registry& registry, const Remap& remap) {
    Meter& one = registry.meters[remap.meter];
    if (!remap.with) {
        one.unit = remap.unit;
        one.account.clear();
        one.tariff.clear();
        return;
    }
    Meter& other = registry.meters[*remap.with];
    std::swap(one.unit, other.unit);
    std::swap(one.account, other.account);
    std::swap(one.tariff, other.tariff);
}

Reply not_remappable(const std::string& why) {
    return refusal(ReplyKind::conflict, "not-remappable",
                   why +
                       "; correct the money by an adjustment with its basis (gatehousectl adjust) "
                       "and the registry by an import");
}

std::string name_of(const Context& context, const Moving& moving) {
    return "the meter " + context.world.meters[moving.meter].row->meter;
}

// What is doubted, or charged to nobody, decides nothing.
std::optional<Reply> judge_state(const Context& context, const Moving& moving) {
    const MeterRuntime& meter = context.world.meters[moving.meter];
    const std::string name = name_of(context, moving);
    if (meter.row->role != MeterRole::unit || !meter.account || !meter.marked)
        return not_remappable(name + " is charged to no household");
    if (moving.after.account.empty())
        return not_remappable("nobody would pay for " + name + " at its new place");
    if (meter.quarantine || meter.hold)
        return refusal(ReplyKind::conflict, "reading-held",
                       name + " is held; settle its reading, or let it go, first");
    if (!meter.edges.empty())
        return refusal(ReplyKind::conflict, "reading-held",
                       name +
                           " waits for the first reading after a change of the registry; ask again "
                           "in a minute, or read its dial");
    return std::nullopt;
}

std::optional<Reply> judge_account(const Context& context, const Remap& remap,
                                   const std::string& id) {
    const AccountRuntime& account = context.world.accounts[context.world.account_index.at(id)];
    if (account.trial || (account.row->live_from && remap.day < *account.row->live_from))
        return refusal(ReplyKind::refused, "trial",
                       "account " + id + " was not live on " + format_date(remap.day));
    const bool posted = account.posted_through && days_since_epoch(*account.posted_through) + 1 >=
                                                      days_since_epoch(remap.day);
    if (!posted)
        return refusal(ReplyKind::conflict, "not-posted",
                       "the day before " + format_date(remap.day) + " is not posted on account " +
                           id + " yet; ask again in some minutes");
    return std::nullopt;
}

// From that day on the meter counted on one set of terms, in one place, but for what was re-mapped.
std::optional<Reply> judge_past(Context& context, const Remap& remap, const Moving& moving) {
    AccountBooks& books = context.store.account_books();
    const std::string& id = context.world.meters[moving.meter].row->meter;
    const std::vector<RemapRow> remaps = books.remaps_of_meter(id);
    for (const auto& charged : books.charged_meters(moving.mark.account)) {
        if (charged.meter != id) continue;
        for (const TermsRow& row : charged.terms) {
            if (row.from == moving.mark.reading)
                return refusal(ReplyKind::conflict, "not-posted",
                               "nothing of " + name_of(context, moving) +
                                   " was posted since it came to its place; ask again after the "
                                   "next midnight");
            const UtcMs at = row.stands_at ? *row.stands_at : context.best(row.at);
            const bool ours = std::any_of(remaps.begin(), remaps.end(), [&](const RemapRow& one) {
                return one.through_reading == row.from;
            });
            if (at > remap.from && !ours)
                return not_remappable("the terms of " + name_of(context, moving) + " changed at " +
                                      context.iso(at));
        }
    }
    return std::nullopt;
}

// The other meter or the unit, and when; errors where they are none.
void read_fields(const Context& context, Reply& reply, const RemapMeter& command, Remap& remap) {
    const auto other = context.world.meter_index.find(command.with);
    if (other != context.world.meter_index.end())
        remap.with = other->second;
    else if (context.world.units.contains(command.with))
        remap.unit = command.with;
    else
        reply.errors.push_back(
            {"/with", "`" + command.with + "` is neither a meter nor a unit of the registry"});
    if (remap.with && *remap.with == remap.meter)
        reply.errors.push_back({"/with",
                                "is the meter itself; name the one that it was mixed up "
                                "with, or the unit that it belongs to"});
    if (remap.with && context.world.meters[*remap.with].row->service !=
                          context.world.meters[remap.meter].row->service)
        reply.errors.push_back({"/with", "counts another service"});
    const auto day = parse_date(command.from);
    if (!day)
        reply.errors.push_back({"/from", "`" + command.from + "` is no date; write 2026-10-05"});
    else if (*day > context.day_of(context.now_ms()))
        reply.errors.push_back({"/from", "has not come yet; from now on the registry decides"});
    if (!day) return;
    remap.day = *day;
    remap.from = context.zone.midnight(*day);
}

std::optional<Reply> find_moving(Context& context, Remap& remap) {
    Registry next = *context.world.registry;
    set_right(next, remap);
    const std::vector<Terms> before = terms_of(*context.world.registry), after = terms_of(next);
    for (const auto index : {std::optional(remap.meter), remap.with}) {
        if (!index) continue;
        const MeterRuntime& meter = context.world.meters[*index];
        Moving moving{*index, before[*index], after[*index], meter.mark, 0};
        if (auto refused = judge_state(context, moving)) return refused;
        if (before[*index] == after[*index])
            return refusal(ReplyKind::conflict, "nothing-moves",
                           name_of(context, moving) + " is charged there already");
        for (const auto& [account, step] :
             context.store.account_books().newest_steps_of_meter(meter.row->meter))
            if (account == meter.mark.account) moving.step = step;
        if (auto refused = judge_past(context, remap, moving)) return refused;
        remap.moving.push_back(std::move(moving));
    }
    return std::nullopt;
}

std::vector<std::string> accounts_of(const Remap& remap) {
    std::set<std::string> accounts;
    for (const Moving& one : remap.moving) {
        accounts.insert(one.mark.account);
        accounts.insert(one.after.account);
    }
    return {accounts.begin(), accounts.end()};
}

RemapRow row_of(const Context& context, const Remap& remap, const Moving& one,
                std::uint64_t event) {
    RemapRow row;
    row.event = event;
    row.meter = context.world.meters[one.meter].row->meter;
    row.from = remap.from;
    row.through_step = one.step;
    row.through_reading = one.mark.reading;
    row.account = one.after.account;
    row.tariff = one.after.tariff;
    row.persons = one.after.persons.value_or(0);
    return row;
}

void meters_json(JsonWriter& json, const Context& context, const Remap& remap,
                 const Figures& figures) {
    json.key("meters").begin_array();
    for (const Moving& one : remap.moving) {
        const Meter& row = *context.world.meters[one.meter].row;
        json.begin_object()
            .field("meter", row.meter)
            .field("from_account", one.mark.account)
            .field("from_unit", one.before.unit)
            .field("to_account", one.after.account)
            .field("to_unit", one.after.unit)
            .field("tariff", one.after.tariff);
        for (const Figure& figure : figures.rows) {
            const auto found = figure.meters.find(row.meter);
            if (figure.account != one.after.account || found == figure.meters.end()) continue;
            json.field("total_from", format(found->second.from))
                .field("total_to", format(found->second.to))
                .field("quantity", format(found->second.to - found->second.from));
        }
        json.end_object();
    }
    json.end_array();
}

void line_json(JsonWriter& json, const LineMove& line) {
    const LineKey& key = line.key;
    json.begin_object()
        .field("month", key.scope)
        .field("service", to_string(key.service))
        .field("tariff", key.tariff)
        .field("version", format_date(key.version))
        .field_if("season", key.season)
        .field_if("band", key.band);
    if (key.tier != 0) json.field("tier", key.tier);
    json.field("price", format(line.after.price))
        .field("old_quantity", format(line.before.quantity))
        .field("quantity", format(line.after.quantity))
        .field("old_target", format(target(line.before)))
        .field("target", format(target(line.after)))
        .field("amount", format(target(line.before) - target(line.after)))
        .end_object();
}

// The statement: what was charged where, what it should have been, line by line.
std::string statement(const Context& context, const RemapMeter& command, const Remap& remap,
                      const Figures& figures, std::uint64_t event) {
    JsonWriter json;
    json.begin_object()
        .field("meter", command.meter)
        .field("with", command.with)
        .field("from", format_date(remap.day))
        .field("currency", context.options.currency);
    if (event != 0) json.field("event", event);
    if (command.dry_run) json.field("dry_run", true);
    meters_json(json, context, remap, figures);
    json.key("accounts").begin_array();
    for (const Figure& figure : figures.rows) {
        const AccountRuntime& account =
            context.world.accounts[context.world.account_index.at(figure.account)];
        json.begin_object()
            .field("account", figure.account)
            .field("unit", account.row->unit)
            .field("unit_label", context.unit_label(account.row->unit))
            .field("old", format(figure.before.sum()))
            .field("new", format(figure.after.sum()))
            .field("amount", format(figure.amount));
        json.key("lines").begin_array();
        for (const LineMove& line : figure.lines) line_json(json, line);
        json.end_array().end_object();
    }
    json.end_array()
        .field_if("reason", command.act.reason)
        .field_if("reference", command.reference)
        .field_if("by", command.act.by)
        .field_if("second", command.act.second)
        .field("authenticated", context.vouched(command.act.by, command.act.second))
        .field("at", context.iso(context.now_ms()))
        .end_object();
    return json.take();
}

// From its newest posted figure on the meter counts for its new place; what lies between that and
// the day is settled.
void move_mark(Context& context, const Remap& remap, const Moving& one, const Figures& figures,
               std::uint64_t event) {
    const std::optional<StepRow> newest = context.store.account_books().step(one.step);
    GH_ASSERT(newest);
    for (const Figure& figure : figures.rows) {
        const auto moved = figure.meters.find(one.mark.meter);
        if (figure.account != one.after.account || moved == figure.meters.end()) continue;
        context.store.set_mark_back(
            {one.mark.account, one.mark.meter, moved->second.reading, moved->second.from});
    }
    context.store.add_remap(row_of(context, remap, one, event));
    Point from;
    from.stamp = newest->at;
    from.stands_at = newest->stands_at;
    from.total = one.mark.total;
    from.reading = one.mark.reading;
    MeterRuntime& meter = context.world.meters[one.meter];
    put_mark(context, meter, from);
    touch_meter(context, one.meter);
    ++meter.state_version;
}

LateWork::Done take_over(Context& context, const RemapMeter& command, const Remap& remap,
                         const Figures& figures) {
    LateWork::Done done;
    done.event = context.store.next(Series::event);
    done.reply.kind = ReplyKind::created;
    done.reply.json = statement(context, command, remap, figures, done.event);
    std::vector<std::string> about;
    for (const Moving& one : remap.moving) about.push_back("meter:" + one.mark.meter);
    std::set<std::string> units;
    for (const std::string& account : accounts_of(remap)) {
        about.push_back("account:" + account);
        units.insert("unit:" +
                     context.world.accounts[context.world.account_index.at(account)].row->unit);
    }
    about.insert(about.end(), units.begin(), units.end());
    const std::uint64_t event = log_event(
        context, "meter.remapped", "{\"meter\":\"" + command.meter + "\"}", done.reply.json, about);
    GH_ASSERT(event == done.event);
    change_registry(context, [&](Registry& registry) { set_right(registry, remap); });
    for (const Moving& one : remap.moving) move_mark(context, remap, one, figures, event);
    context.store.add_settling({event, "remap", "remap:" + std::to_string(event), command.act.by,
                                command.act.second, command.act.reason,
                                context.vouched(command.act.by, command.act.second)});
    for (const std::string& account : accounts_of(remap)) {
        context.store.put_settling_state(event, account, SettlingState::waiting);
        context.repriced.insert(context.world.account_index.at(account));
    }
    remember(context, keyed(act_route::kRemap, command.act), done.reply);
    context.urgent = true;
    return done;
}

LateWork::Done carry_out(Context& context, const RemapMeter& command, const Remap& remap,
                         const Figures& figures) {
    if (auto refused = figures_refusal(figures)) return {*std::move(refused), 0};
    bool same = context.world.registry == remap.registry;
    for (const Moving& one : remap.moving) {
        const MeterRuntime& meter = context.world.meters[one.meter];
        same = same && meter.marked && meter.mark.reading == one.mark.reading && !meter.quarantine;
    }
    if (!same)
        return {refusal(ReplyKind::conflict, "moved-on",
                        "the books went on meanwhile; nothing was changed, ask again"),
                0};
    if (command.dry_run) {
        Reply reply;
        reply.json = statement(context, command, remap, figures, 0);
        return {std::move(reply), 0};
    }
    if (auto before = answered(context, keyed(act_route::kRemap, command.act)))
        return {*std::move(before), 0};
    if (auto waits = settling_refusal(context)) return {*std::move(waits), 0};
    return take_over(context, command, remap, figures);
}

LateWork work_of(const Context& context, const RemapMeter& command, const Remap& remap) {
    LateWork work;
    work.accounts = accounts_of(remap);
    work.registry = context.world.registry;
    for (const Moving& one : remap.moving)
        work.remaps.push_back(row_of(context, remap, one, kThoughtOf));
    work.from_month = month_scope(remap.day);
    work.carry_on = [command, remap](Context& now, const Figures& figures) {
        return carry_out(now, command, remap, figures);
    };
    return work;
}

}  // namespace

LateJudged remap_meter(Context& context, const RemapMeter& command) {
    if (!command.dry_run)
        if (auto before = answered(context, keyed(act_route::kRemap, command.act)))
            return {*std::move(before), {}};
    const auto found = context.world.meter_index.find(command.meter);
    if (found == context.world.meter_index.end()) return {no_such_meter(command.meter), {}};
    Remap remap;
    remap.meter = found->second;
    remap.registry = context.world.registry;
    Reply reply;
    if (!command.dry_run) check_signature(context, reply, command.act);
    read_fields(context, reply, command, remap);
    if (is_refused(reply)) return {std::move(reply), {}};
    if (!context.clock.trusted())
        return {refusal(ReplyKind::refused, "clock",
                        "a re-mapping moves money and the clock is not trusted (" +
                            context.clock.reason() +
                            "); confirm it with `gatehousectl clock confirm` first"),
                {}};
    if (auto waits = settling_refusal(context)) return {*std::move(waits), {}};
    if (auto refused = find_moving(context, remap)) return {*std::move(refused), {}};
    for (const std::string& account : accounts_of(remap))
        if (auto refused = judge_account(context, remap, account)) return {*std::move(refused), {}};
    return {{}, work_of(context, command, remap)};
}

}  // namespace gatehouse
