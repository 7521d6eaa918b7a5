#include "daemon/engine/import_desk.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/card_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/golive_desk.hpp"
#include "daemon/engine/import_checks.hpp"
#include "daemon/engine/json_pointer.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/meter_profiles.hpp"
#include "daemon/engine/people_desk.hpp"
#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/trial_book.hpp"
#include "daemon/store/key_books.hpp"

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

struct Plan {
    Registry merged;
    std::vector<files::Change> changes;
    std::vector<Problem> problems, warnings;
    OpeningTotals openings;
    LateVersions late;
};

Plan plan_import(Context& context, const ImportRegistry& command) {
    Plan plan;
    files::Parsed own;
    if (command.parsed == nullptr) own = files::parse(command.files);
    files::Parsed& parsed = command.parsed != nullptr ? *command.parsed : own;
    plan.warnings = parsed.warnings;
    plan.problems = parsed.problems;
    const std::string key = card_key(context, command.dry_run);
    files::hash_cards(parsed.registry,
                      [&](const std::string& card) { return hmac256_hex(key, card); });
    files::Merged merged = files::merge(*context.world.registry, parsed);
    plan.openings = opening_totals(parsed.registry);
    files::Known known;
    known.buses = context.options.buses;
    known.profile_fault = [&](const Meter& meter) {
        return profile_of(context.profiles, meter).reason;
    };
    known.profile_primary = [&](const std::string& profile) {
        const ProfileFact fact = context.profiles(profile);
        return fact.traits && fact.traits->primary_side;
    };
    known.channel_fault = [&](const Meter& meter) {
        const int channels = meter.profile.empty() ? 0 : context.profiles(meter.profile).channels;
        const bool has = channels == 0 || meter.channel.value_or(0) < channels;
        return has ? std::string() : channel_fault(meter, channels);
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
    for (const Person& person : merged.registry.people) {
        std::string fault = erased_fault(context.world, person);
        if (!fault.empty())
            plan.problems.push_back(at_row(parsed.places, files::Table::people, person.person,
                                           "name", std::move(fault)));
    }
    for (const Staff& staff : merged.registry.staff)
        if (std::string fault = leaver_fault(context, staff); !fault.empty())
            plan.problems.push_back(at_row(parsed.places, files::Table::staff, staff.staff,
                                           "active_to", std::move(fault)));
    check_served(merged.registry, parsed.places, plan.problems);
    check_books(context, merged.registry, parsed.places, plan.problems);
    plan.late = late_versions(context, merged.registry, parsed.places, plan.problems);
    warn_of_closed(context, merged.registry, plan.late, parsed.places, plan.warnings);
    check_calendar(context, merged.registry, parsed.places, plan.problems);
    check_prices(context, merged.registry, parsed.places, plan.problems);
    warn_of_calendar(context, merged.registry, plan.warnings);
    warn_of_openings(context, merged.registry, parsed.places, plan.warnings);
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

// Opening balances that this import books, or will book at live_from, and what late versions
// change of what was charged.
void write_money(JsonWriter& json, const Context& context, const Plan& plan,
                 const Figures& figures) {
    json.key("money").begin_array();
    Fen total;
    for (std::size_t i = 0; i < plan.merged.accounts.size(); ++i) {
        const Account& account = plan.merged.accounts[i];
        const bool booked =
            i < context.world.accounts.size() && (context.world.accounts[i].opening_booked ||
                                                  !context.world.accounts[i].row->closed.empty());
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
    write_figures(json, figures, "price_settlement");
    json.end_array().field("money_total", format(total + figures.amount()));
    if (!plan.late.versions.empty()) write_figure_totals(json, figures);
}

std::string import_json(const Context& context, const Plan& plan, bool dry_run,
                        const std::vector<std::size_t>& edged, const Figures& figures) {
    JsonWriter json;
    json.begin_object();
    write_counts(json, plan.changes);
    write_money(json, context, plan, figures);
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
        reply.errors.push_back({"/files/" + pointer_part(problem.file), to_string(problem)});
    return reply;
}

}  // namespace

void open_accounts(Context& context, std::optional<LocalDate> since) {
    if (!context.clock.trusted() || !context.writable) return;
    const LocalDate today = context.day_of(context.now_ms());
    const LocalDate before = date_from_days(days_since_epoch(since.value_or(today)) - 1);
    for (std::size_t i = 0; i < context.world.accounts.size(); ++i) {
        AccountRuntime& account = context.world.accounts[i];
        if (!account.row->closed.empty()) continue;
        LocalDate opens = since.value_or(today);
        // A trial that ended while nobody looked: its ladder is of the period in which it did.
        if (account.row->live_from && account.posted_through &&
            *account.posted_through < *account.row->live_from)
            opens = *account.row->live_from;
        if (!account.posted_through) {
            // The account's first day: what ends before it has no posting of its own.
            if (!context.store.add_posting(account.row->account, "day:" + format_date(before)))
                continue;
            account.posted_through = before;
            context.urgent = true;
        }
        account.trial =
            !account.opening_booked && account.row->live_from && *account.row->live_from > today;
        if (account.opening_booked || account.trial) continue;
        book_opening(context, i, opens);
        context.repriced.insert(i);
        context.urgent = true;
    }
}

namespace {

Reply clock_refusal(const Context& context, const char* what) {
    return refusal(ReplyKind::refused, "clock",
                   std::string("the import ") + what + " and the clock is not trusted (" +
                       context.clock.reason() +
                       "); confirm it with `gatehousectl clock confirm` first");
}

// A price that comes late takes money from households or gives it back: two people sign it.
std::optional<Reply> judge_late(const Context& context, const ImportRegistry& command,
                                const Plan& plan) {
    if (plan.late.versions.empty()) return std::nullopt;
    if (!context.clock.trusted())
        return clock_refusal(context, "has prices whose first day may have passed");
    if (auto waits = settling_refusal(context)) return waits;
    if (command.dry_run) return std::nullopt;
    Reply signature;
    check_two(context, signature, command.by, command.second);
    check_reason(signature, command.reason);
    if (signature.errors.empty()) return std::nullopt;
    Reply reply = refuse_problems(plan.late.places);
    reply.type = "late-version";
    reply.detail = to_string(plan.late.places.front());
    for (FieldError& error : signature.errors) reply.errors.push_back(std::move(error));
    return reply;
}

// Late versions stand in the log with who signed them, and every account that they change waits
// for its settlement. An account that is closed was settled to the last fen and is left so.
bool begin_settling(Context& context, const ImportRegistry& command, const LateVersions& late,
                    std::uint64_t event) {
    if (late.versions.empty()) return false;
    for (LateVersionRow version : late.versions) {
        version.event = event;
        context.store.add_late_version(version);
    }
    context.store.add_settling({event, "version", "version:" + std::to_string(event), command.by,
                                command.second, command.reason,
                                context.vouched(command.by, command.second)});
    bool waits = false;
    for (const std::string& id : late.accounts) {
        const AccountRuntime& account = context.world.accounts[context.world.account_index.at(id)];
        const bool closed = !account.row->closed.empty();
        waits = waits || !closed;
        context.store.put_settling_state(event, id,
                                         closed ? SettlingState::left : SettlingState::waiting);
    }
    return waits;
}

void late_fields(JsonWriter& body, const Context& context, const ImportRegistry& command,
                 const LateVersions& late) {
    body.key("late_versions").begin_array();
    for (const LateVersionRow& version : late.versions)
        body.begin_object()
            .field("tariff", version.tariff)
            .field("valid_from", format_date(version.valid_from))
            .end_object();
    body.end_array()
        .field("second", command.second)
        .field("reason", command.reason)
        .field("authenticated", context.vouched(command.by, command.second));
}

// The trial is priced anew like any bill of those days.
void preview_anew(Context& context) {
    for (AccountRuntime& account : context.world.accounts) account.trial_lines.reset();
    load_previews(context, context.world);
}

LateWork::Done take_over(Context& context, const ImportRegistry& command, Plan plan,
                         const std::vector<std::size_t>& edged) {
    JsonWriter body;
    body.begin_object();
    write_counts(body, plan.changes);
    body.field_if("by", command.by).field("actor", command.actor);
    const bool late = !plan.late.versions.empty();
    if (late) late_fields(body, context, command, plan.late);
    body.end_object();
    const std::uint64_t seq = log_event(context, "registry.imported", "{}", body.take());
    // What stands already is not read, priced and shown anew.
    const bool same = std::all_of(
        plan.changes.begin(), plan.changes.end(),
        [](const files::Change& one) { return one.outcome == files::Outcome::unchanged; });
    if (same && !late) return {};
    open_edges(context, edged, seq);
    context.store.put_registry(plan.merged, context.now, context.world.registry.get());
    context.world.registry = std::make_shared<const Registry>(std::move(plan.merged));
    follow_cards(context.store.key_books(), *context.world.registry, context.now_ms());
    bind_registry(context, context.world);
    close_edges_of_retired(context, edged);
    open_accounts(context);
    const bool waits = begin_settling(context, command, plan.late, seq);
    if (late) preview_anew(context);
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
    context.registry_moved = true;
    return {{}, waits ? seq : 0};
}

LateWork::Done carry_out(Context& context, const ImportRegistry& command, Plan plan,
                         const Figures& figures) {
    if (!plan.problems.empty()) return {refuse_problems(plan.problems), 0};
    if (auto refused = check_control(command, plan.openings)) return {*std::move(refused), 0};
    if (auto refused = judge_late(context, command, plan)) return {*std::move(refused), 0};
    if (auto refused = figures_refusal(figures)) return {*std::move(refused), 0};
    const std::vector<std::size_t> edged = changed_meters(context, plan.merged);
    if (!edged.empty() && !context.clock.trusted())
        return {clock_refusal(context, "changes the terms of charged meters"), 0};
    Reply reply;
    reply.json = import_json(context, plan, command.dry_run, edged, figures);
    if (command.dry_run) return {std::move(reply), 0};
    LateWork::Done done = take_over(context, command, std::move(plan), edged);
    done.reply = std::move(reply);
    return done;
}

LateWork late_work(const Context& context, const ImportRegistry& command, Plan& plan) {
    LateWork work;
    LocalDate oldest = plan.late.versions.front().valid_from;
    for (const LateVersionRow& version : plan.late.versions)
        oldest = std::min(oldest, version.valid_from);
    for (const std::string& id : plan.late.accounts)
        if (context.world.accounts[context.world.account_index.at(id)].row->closed.empty())
            work.accounts.push_back(id);
    work.from_month = month_scope(oldest);
    work.versions = std::move(plan.late.versions);
    work.registry = std::make_shared<const Registry>(std::move(plan.merged));
    work.carry_on = [command](Context& now, const Figures& figures) {
        // Planned again, since the world went on while the figures were made.
        return carry_out(now, command, plan_import(now, command), figures);
    };
    return work;
}

}  // namespace

LateJudged import_registry(Context& context, const ImportRegistry& command) {
    if (command.seen != nullptr && command.seen != context.world.registry)
        return {refusal(ReplyKind::stale, "stale",
                        "the registry has changed since it was looked at; nothing was taken: look "
                        "at it again and send its new ETag in If-Match"),
                {}};
    Plan plan = plan_import(context, command);
    const bool late = plan.problems.empty() && !plan.late.versions.empty();
    if (!late) return {carry_out(context, command, std::move(plan), {}).reply, {}};
    if (auto refused = check_control(command, plan.openings)) return {*std::move(refused), {}};
    if (auto refused = judge_late(context, command, plan)) return {*std::move(refused), {}};
    return {{}, late_work(context, command, plan)};
}

std::string hashed_card(Context& context, const std::string& card) {
    if (card.starts_with("hmac256:")) return card;
    return "hmac256:" + hmac256_hex(card_key(context, /*dry_run=*/false), card);
}

}  // namespace gatehouse
