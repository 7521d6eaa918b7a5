#include "daemon/engine/golive_desk.hpp"

#include <map>
#include <tuple>
#include <utility>

#include "daemon/core/settlement.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse {
namespace {

// One meter whose counting begins at a register that people typed.
struct FirstCharge {
    const Meter* meter = nullptr;
    const Account* account = nullptr;
    std::optional<Milli> shown, quantity;  // by the newest sample; absent: not read yet
    std::optional<Fen> amount;
};

const MeterRuntime* runtime_of(const World& world, const std::string& meter) {
    const auto found = world.meter_index.find(meter);
    return found == world.meter_index.end() ? nullptr : &world.meters[found->second];
}

bool begins_now(const Context& context, const registry_files::Charged& charged) {
    const Account& account = *charged.account;
    const MeterRuntime* meter = runtime_of(context.world, charged.meter->meter);
    const LocalDate today = context.day_of(context.now_ms());
    return charged.meter->opening_register && (meter == nullptr || !meter->epoch) &&
           account.billing == Billing::prepaid &&
           (!account.live_from || *account.live_from <= today) &&
           why_not_yet(*charged.tariff).empty();
}

// How much lies between the typed register and the newest sample, after the multiplier.
void measure(const Context& context, FirstCharge& charge) {
    const MeterRuntime* meter = runtime_of(context.world, charge.meter->meter);
    if (meter == nullptr || !meter->newest_face) return;
    const auto multiplier = parse_rational(charge.meter->multiplier);
    const auto opening = parse_rational(*charge.meter->opening_register);
    if (!multiplier || !opening) return;
    const auto begin = figure(*opening, *multiplier);
    const auto end = figure(*meter->newest_face, *multiplier);
    charge.shown = round_to_milli(*meter->newest_face);
    if (begin && end) charge.quantity = *end - *begin;
}

// The account's lines and ladder as they are, or as its row opens them.
Settlement begun(const Context& context, const Account& account, LocalDate day,
                 const Registry& merged) {
    const auto known = context.world.account_index.find(account.account);
    if (known != context.world.account_index.end() &&
        context.world.accounts[known->second].opening_booked)
        return context.world.accounts[known->second].settlement;
    Settlement settlement;
    for (std::size_t i = 0; i < account.opening_ladder.size() && i < account.tariffs.size(); ++i)
        for (const Tariff& tariff : merged.tariffs)
            if (tariff.tariff == account.tariffs[i] && version_on(tariff, day) != nullptr)
                seed_counter(settlement, tariff, day, account.opening_ladder[i]);
    return settlement;
}

int persons_of(const Registry& registry, const Account& account) {
    for (const Unit& unit : registry.units)
        if (unit.unit == account.unit) return unit.persons.value_or(0);
    return 0;
}

std::vector<FirstCharge> first_charges(const Context& context, const Registry& merged) {
    const LocalDate today = context.day_of(context.now_ms());
    std::map<std::string, Settlement> settlements;
    std::vector<FirstCharge> charges;
    for (const auto& charged : registry_files::charged_meters(merged)) {
        if (!begins_now(context, charged)) continue;
        FirstCharge charge{charged.meter, charged.account, {}, {}, {}};
        measure(context, charge);
        // A register below the opening charges nothing; it will be asked about.
        if (charge.quantity && charge.quantity->count >= 0) {
            const auto [at, fresh] = settlements.try_emplace(charged.account->account);
            if (fresh) at->second = begun(context, *charged.account, today, merged);
            const Fen before = outstanding(at->second);
            const int persons = persons_of(merged, *charged.account);
            const Interval when =
                interval_at(context.now_ms(), context.world.calendar, context.zone, persons);
            if (accrue(at->second, *charged.tariff, when, month_scope(when.day),
                       *charge.quantity) == Accrual::ok)
                charge.amount = outstanding(at->second) - before;
        }
        charges.push_back(std::move(charge));
    }
    return charges;
}

void amount_of(JsonWriter& json, const char* name, const std::string& account, Fen amount) {
    json.key(name);
    if (account.empty()) {
        json.null();
        return;
    }
    json.begin_object().field("account", account).field("amount", format(amount)).end_object();
}

}  // namespace

OpeningTotals opening_totals(const Registry& files) {
    OpeningTotals totals;
    for (const Account& account : files.accounts) {
        if (!account.opening_balance || account.billing != Billing::prepaid) continue;
        const Fen amount = *account.opening_balance;
        if (totals.accounts++ == 0 || amount > totals.highest_amount)
            std::tie(totals.highest, totals.highest_amount) = std::tie(account.account, amount);
        if (totals.lowest.empty() || amount < totals.lowest_amount)
            std::tie(totals.lowest, totals.lowest_amount) = std::tie(account.account, amount);
        totals.sum += amount;
    }
    return totals;
}

std::optional<Reply> check_control(const ImportRegistry& command, const OpeningTotals& totals) {
    Reply reply;
    if (command.control_accounts && *command.control_accounts != totals.accounts)
        reply.errors.push_back(
            {"/control_accounts", "the files have " + std::to_string(totals.accounts) +
                                      " accounts with an opening balance and not " +
                                      std::to_string(*command.control_accounts)});
    const auto sum = parse_decimal(command.control_sum, 2);
    if (!command.control_sum.empty() && (!sum || Fen{*sum} != totals.sum))
        reply.errors.push_back({"/control_sum", "their opening balances sum to " +
                                                    format(totals.sum) + " and not to `" +
                                                    command.control_sum + "`"});
    if (reply.errors.empty()) return std::nullopt;
    reply.kind = ReplyKind::invalid;
    reply.type = "control-totals";
    reply.detail = reply.errors.front().message +
                   "; compare the list with the old system's, and nothing was changed";
    return reply;
}

void write_openings(JsonWriter& json, const OpeningTotals& totals) {
    json.key("openings")
        .begin_object()
        .field("accounts", totals.accounts)
        .field("sum", format(totals.sum));
    amount_of(json, "highest", totals.highest, totals.highest_amount);
    amount_of(json, "lowest", totals.lowest, totals.lowest_amount);
    json.end_object();
}

void write_first_charges(JsonWriter& json, const Context& context, const Registry& merged) {
    const std::vector<FirstCharge> charges = first_charges(context, merged);
    std::map<std::string, Fen> by_account;
    std::size_t not_read = 0;
    json.key("first_charges").begin_array();
    for (const FirstCharge& charge : charges) {
        if (charge.amount) by_account[charge.account->account] += *charge.amount;
        if (!charge.quantity) ++not_read;
        json.begin_object()
            .field("account", charge.account->account)
            .field("meter", charge.meter->meter)
            .field("opening_register", *charge.meter->opening_register)
            .field_if("opening_at", charge.meter->opening_at.value_or(""));
        const auto maybe = [&](const char* name, const auto& value) {
            json.key(name);
            value ? json.value(format(*value)) : json.null();
        };
        maybe("register", charge.shown);
        maybe("quantity", charge.quantity);
        maybe("amount", charge.amount);
        json.end_object();
    }
    json.end_array();
    Fen sum, highest;
    std::string who;
    for (const auto& [account, amount] : by_account) {
        sum += amount;
        if (who.empty() || amount > highest) std::tie(who, highest) = std::tie(account, amount);
    }
    json.key("first_charge_total")
        .begin_object()
        .field("accounts", by_account.size())
        .field("sum", format(sum))
        .field("not_read", not_read);
    amount_of(json, "highest", who, highest);
    json.end_object();
}

}  // namespace gatehouse
