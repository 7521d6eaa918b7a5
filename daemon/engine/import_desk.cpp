#include "daemon/engine/import_desk.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/golive_desk.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse {
namespace {

namespace files = registry_files;

// The site's own key for card numbers; drawn once, kept in the store, never exported.
// A dry run draws one and keeps nothing.
std::string card_key(Context& context, bool dry_run) {
    std::string key = context.store.load_note("card_key");
    if (!key.empty()) return key;
    for (int i = 0; i < 4; ++i) key += std::to_string(context.random.next_u64()) + ".";
    if (!dry_run) context.store.put_note("card_key", key);
    return key;
}

std::string hmac256_hex(const std::string& key, const std::string& text) {
    crypto_auth_hmacsha256_state state;
    std::array<unsigned char, crypto_auth_hmacsha256_BYTES> digest{};
    const std::vector<unsigned char> key_bytes(key.begin(), key.end());
    const std::vector<unsigned char> bytes(text.begin(), text.end());
    crypto_auth_hmacsha256_init(&state, key_bytes.data(), key_bytes.size());
    crypto_auth_hmacsha256_update(&state, bytes.data(), bytes.size());
    crypto_auth_hmacsha256_final(&state, digest.data());
    std::string out;
    for (const unsigned char byte : digest) {
        out += "0123456789abcdef"[byte >> 4U];
        out += "0123456789abcdef"[byte & 15U];
    }
    return out;
}

Problem at_row(const files::Places& places, files::Table table, const std::string& id,
               const std::string& column, std::string message) {
    Problem problem;
    problem.file = std::string(files::to_string(table)) + ".csv";
    problem.message = std::move(message);
    const auto found = places.find({table, id});
    if (found == places.end()) return problem;
    problem.file = found->second.file;
    problem.line = found->second.line;
    const auto cell = found->second.columns.find(column);
    problem.column = cell == found->second.columns.end() ? 1 : cell->second;
    return problem;
}

bool tariff_in_use(const Context& context, const std::string& tariff) {
    return std::any_of(
        context.world.meters.begin(), context.world.meters.end(), [&](const MeterRuntime& meter) {
            return meter.marked && meter.tariff != nullptr && meter.tariff->tariff == tariff;
        });
}

// What the books forbid to change: openings that were used, prices that were charged.
void check_books(const Context& context, const Registry& merged, const files::Places& places,
                 std::vector<Problem>& problems) {
    const World& world = context.world;
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        const Meter& before = *world.meters[i].row;
        const Meter& after = merged.meters[i];
        if (!world.meters[i].epoch || before.status != after.status) continue;
        if (before.opening_register != after.opening_register ||
            before.opening_at != after.opening_at)
            problems.push_back(at_row(
                places, files::Table::meters, after.meter, "opening_register",
                "meter `" + after.meter + "` has counted from its opening already; restore `" +
                    before.opening_register.value_or("") + "`, or correct it by an adjustment"));
    }
    for (std::size_t i = 0; i < world.accounts.size(); ++i) {
        const Account& before = *world.accounts[i].row;
        const Account& after = merged.accounts[i];
        if (!world.accounts[i].opening_booked) continue;
        if (before.opening_balance != after.opening_balance ||
            before.opening_ladder != after.opening_ladder || before.live_from != after.live_from)
            problems.push_back(at_row(places, files::Table::accounts, after.account,
                                      "opening_balance",
                                      "account `" + after.account +
                                          "` is open already; its opening values and live_from "
                                          "stay, correct them by an adjustment"));
    }
    const LocalDate today = context.day_of(context.now_ms());
    for (std::size_t i = 0; i < world.registry->tariffs.size(); ++i) {
        const Tariff& before = world.registry->tariffs[i];
        const Tariff& after = merged.tariffs[i];
        if (before == after || !tariff_in_use(context, before.tariff)) continue;
        for (const TariffVersion& version : after.versions) {
            if (version.valid_from > today) continue;
            const auto same = std::find(before.versions.begin(), before.versions.end(), version);
            if (same != before.versions.end()) continue;
            problems.push_back(at_row(
                places, files::Table::tariffs, after.tariff, "valid_from",
                "version " + format_date(version.valid_from) + " of tariff `" + after.tariff +
                    "` was charged already or lies in the past: leave it as it was and "
                    "add a version that begins after today"));
        }
    }
}

// A kind of day that prices were charged by stays; what was charged is corrected by an adjustment.
void check_calendar(const Context& context, const Registry& merged, const files::Places& places,
                    std::vector<Problem>& problems) {
    const bool in_use = std::any_of(
        context.world.meters.begin(), context.world.meters.end(), [](const MeterRuntime& meter) {
            return meter.marked && meter.tariff != nullptr && tells_days_apart(*meter.tariff);
        });
    if (!in_use) return;
    const LocalDate today = context.day_of(context.now_ms());
    const Calendar after(merged.calendar);
    for (const CalendarDay& day : merged.calendar) {
        if (day.date > today || after.kind(day.date) == context.world.calendar.kind(day.date))
            continue;
        const std::string date = format_date(day.date);
        problems.push_back(at_row(
            places, files::Table::calendar, date, "kind",
            date + " has begun and tariffs in use tell kinds of day apart: leave the day as it "
                   "was, only days after today can be changed"));
    }
}

// What was not read whole has its problem already.
bool is_whole(const files::Places& places, files::Table table, const std::string& id) {
    const auto place = places.find(std::pair(table, id));
    return place == places.end() || place->second.whole();
}

void check_served(const Registry& merged, const files::Places& places,
                  std::vector<Problem>& problems) {
    const std::vector<std::string> not_yet = files::not_yet(merged);
    for (std::size_t i = 0; i < not_yet.size(); ++i) {
        if (not_yet[i].empty()) continue;
        const Account& account = merged.accounts[i];
        const bool read = is_whole(places, files::Table::accounts, account.account) &&
                          std::all_of(account.tariffs.begin(), account.tariffs.end(),
                                      [&](const std::string& tariff) {
                                          return is_whole(places, files::Table::tariffs, tariff);
                                      });
        if (read)
            problems.push_back(
                at_row(places, files::Table::accounts, account.account, "tariff", not_yet[i]));
    }
}

void warn_of_calendar(const Context& context, const Registry& merged,
                      std::vector<Problem>& warnings) {
    if (!context.clock.trusted()) return;
    Problem warning;
    warning.file = kCalendarFile;
    warning.message = calendar_warning(merged.calendar, context.day_of(context.now_ms()));
    if (!warning.message.empty()) warnings.push_back(std::move(warning));
}

struct Plan {
    Registry merged;
    std::vector<files::Change> changes;
    std::vector<Problem> problems, warnings;
    OpeningTotals openings;
};

Plan plan_import(Context& context, const ImportRegistry& command) {
    Plan plan;
    files::Parsed parsed = files::parse(command.files);
    plan.warnings = std::move(parsed.warnings);
    plan.problems = std::move(parsed.problems);
    const std::string key = card_key(context, command.dry_run);
    files::hash_cards(parsed.registry,
                      [&](const std::string& card) { return hmac256_hex(key, card); });
    files::Merged merged = files::merge(*context.world.registry, parsed);
    plan.openings = opening_totals(parsed.registry);
    files::Known known;
    known.buses = context.options.buses;
    known.profile_fault = [&](const Meter& meter) { return profile_of(context, meter).reason; };
    known.profile_primary = [&](const std::string& profile) {
        const ProfileFact fact = context.profiles(profile);
        return fact.traits && fact.traits->primary_side;
    };
    if (!context.options.profiles.empty()) known.profiles = context.options.profiles;
    known.cabinets = context.options.cabinets;
    files::Checked checked = files::check(merged.registry, known, parsed.places, parsed.partial);
    const auto add = [&](const std::vector<Problem>& problems) {
        plan.problems.insert(plan.problems.end(), problems.begin(), problems.end());
    };
    add(merged.problems);
    add(checked.problems);
    plan.warnings.insert(plan.warnings.end(), checked.warnings.begin(), checked.warnings.end());
    check_served(merged.registry, parsed.places, plan.problems);
    check_books(context, merged.registry, parsed.places, plan.problems);
    check_calendar(context, merged.registry, parsed.places, plan.problems);
    warn_of_calendar(context, merged.registry, plan.warnings);
    files::arrange_problems(plan.problems);
    plan.merged = std::move(merged.registry);
    plan.changes = std::move(merged.changes);
    return plan;
}

void write_counts(JsonWriter& json, const std::vector<files::Change>& changes) {
    const auto count = [&](files::Outcome outcome, std::optional<files::Table> table) {
        return std::count_if(changes.begin(), changes.end(), [&](const files::Change& change) {
            return change.outcome == outcome && (!table || change.table == *table);
        });
    };
    json.field("added", count(files::Outcome::added, std::nullopt))
        .field("changed", count(files::Outcome::changed, std::nullopt))
        .field("unchanged", count(files::Outcome::unchanged, std::nullopt));
    json.key("tables").begin_object();
    for (std::size_t i = 0; i < files::kTables; ++i) {
        const auto table = static_cast<files::Table>(i);
        json.key(files::to_string(table))
            .begin_object()
            .field("added", count(files::Outcome::added, table))
            .field("changed", count(files::Outcome::changed, table))
            .field("unchanged", count(files::Outcome::unchanged, table))
            .end_object();
    }
    json.end_object();
    json.key("changes").begin_array();
    for (const files::Change& change : changes) {
        if (change.outcome != files::Outcome::changed) continue;
        json.begin_object()
            .field("table", files::to_string(change.table))
            .field("id", change.id)
            .key("fields")
            .begin_array();
        for (const std::string& field : change.fields) json.value(field);
        json.end_array().end_object();
    }
    json.end_array();
}

// Opening balances that this import books, or will book at live_from.
void write_money(JsonWriter& json, const Context& context, const Plan& plan) {
    json.key("money").begin_array();
    Fen total;
    for (std::size_t i = 0; i < plan.merged.accounts.size(); ++i) {
        const Account& account = plan.merged.accounts[i];
        const bool booked =
            i < context.world.accounts.size() && context.world.accounts[i].opening_booked;
        if (booked || !account.opening_balance || account.opening_balance->count == 0 ||
            account.billing != Billing::prepaid)
            continue;
        total += *account.opening_balance;
        json.begin_object()
            .field("account", account.account)
            .field("kind", "opening")
            .field("amount", format(*account.opening_balance));
        if (account.live_from) json.field("at", format_date(*account.live_from));
        json.end_object();
    }
    json.end_array().field("money_total", format(total));
}

std::string import_json(const Context& context, const Plan& plan, bool dry_run,
                        const std::vector<std::size_t>& edged) {
    JsonWriter json;
    json.begin_object();
    write_counts(json, plan.changes);
    write_money(json, context, plan);
    write_openings(json, plan.openings);
    write_first_charges(json, context, plan.merged);
    json.key("edges").begin_array();
    for (const std::size_t index : edged) json.value(context.world.meters[index].row->meter);
    json.end_array();
    json.key("warnings").begin_array();
    for (const Problem& warning : plan.warnings) json.value(to_string(warning));
    json.end_array().field("dry_run", dry_run).end_object();
    return json.take();
}

Reply refuse_problems(const std::vector<Problem>& problems) {
    Reply reply = refusal(ReplyKind::invalid, "registry",
                          std::to_string(problems.size()) +
                              (problems.size() == 1 ? " problem" : " problems") +
                              " in the registry; nothing was changed");
    for (const Problem& problem : problems)
        reply.errors.push_back({"/files/" + problem.file, to_string(problem)});
    return reply;
}

}  // namespace

void open_accounts(Context& context) {
    if (!context.clock.trusted() || !context.writable) return;
    const LocalDate today = context.day_of(context.now_ms());
    const LocalDate yesterday = date_from_days(days_since_epoch(today) - 1);
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i) {
        AccountRuntime& account = context.world.accounts[i];
        if (!account.row->closed.empty()) continue;
        if (!account.posted_through) {
            // The account's first day is today: what ends before it has no posting of its own.
            if (!context.store.add_posting(account.row->account, "day:" + format_date(yesterday)))
                continue;
            account.posted_through = yesterday;
            context.urgent = true;
        }
        account.trial =
            !account.opening_booked && account.row->live_from && *account.row->live_from > today;
        if (account.opening_booked || account.trial) continue;
        book_opening(context, i);
        context.repriced.insert(i);
        context.urgent = true;
    }
}

Reply import_registry(Context& context, const ImportRegistry& command) {
    Plan plan = plan_import(context, command);
    if (!plan.problems.empty()) return refuse_problems(plan.problems);
    if (auto refused = check_control(command, plan.openings)) return *std::move(refused);
    const std::vector<std::size_t> edged = changed_meters(context, plan.merged);
    if (!edged.empty() && !context.clock.trusted())
        return refusal(ReplyKind::refused, "clock",
                       "the import changes the terms of charged meters and the clock is not "
                       "trusted (" +
                           context.clock.reason() +
                           "); confirm it with `gatehousectl clock confirm` first");
    Reply reply;
    reply.json = import_json(context, plan, command.dry_run, edged);
    if (command.dry_run) return reply;
    JsonWriter body;
    body.begin_object();
    write_counts(body, plan.changes);
    body.field_if("by", command.by).field("actor", command.actor).end_object();
    const std::uint64_t seq = log_event(context, "registry.imported", "{}", body.take());
    open_edges(context, edged, seq);
    context.store.put_registry(plan.merged, context.now);
    context.world.registry = std::make_shared<const Registry>(std::move(plan.merged));
    bind_registry(context, context.world);
    close_edges_of_retired(context, edged);
    open_accounts(context);
    for (std::size_t i = 0; i < context.world.meters.size(); ++i) {
        ++context.world.meters[i].state_version;
        context.dirty_meters.insert(i);
    }
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i) {
        ++context.world.accounts[i].state_version;
        context.dirty_accounts.insert(i);
        context.repriced.insert(i);
    }
    context.urgent = true;
    return reply;
}

}  // namespace gatehouse
