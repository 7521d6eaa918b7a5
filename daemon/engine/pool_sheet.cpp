#include "daemon/engine/pool_sheet.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {
namespace {

LocalDate day_before(LocalDate day) {
    return date_from_days(days_since_epoch(day) - 1);
}

// Reads one sheet; each problem is said once.
class SheetReader {
  public:
    SheetReader(StoreReader& reader, const Registry& registry, const Pool& pool, LocalDate month)
        : reader_(reader),
          registry_(registry),
          pool_(pool),
          first_(month),
          last_(day_before(next_month(month))) {
        sheet_.pool = pool.pool;
        sheet_.month = month_scope(month);
        sheet_.tariff = pool.tariff;
        sheet_.service = pool.service;
        sheet_.share = pool.share;
    }

    PoolSheet read(bool over) {
        if (!over) {
            problem(sheet_.month + " runs until the end of " + format_date(last_) +
                    "; its sheet comes to be after that");
        } else {
            prices();
            meters();
        }
        members(over);
        settle_pool(sheet_);
        return std::move(sheet_);
    }

  private:
    void problem(std::string text) {
        if (said_.insert(text).second) sheet_.problems.push_back(std::move(text));
    }

    void prices() {
        const auto tariff =
            std::find_if(registry_.tariffs.begin(), registry_.tariffs.end(),
                         [&](const Tariff& one) { return one.tariff == pool_.tariff; });
        if (tariff == registry_.tariffs.end()) return problem("no tariff `" + pool_.tariff + "`");
        if (std::string fault = pool_tariff_fault(*tariff); !fault.empty())
            return problem(std::move(fault));
        for (LocalDate from = first_; from <= last_;) {
            const TariffVersion* version = version_on(*tariff, from);
            if (version == nullptr)
                return problem("tariff `" + pool_.tariff + "` has no price on " +
                               format_date(from));
            LocalDate to = last_;
            for (const TariffVersion& other : tariff->versions)
                if (other.valid_from > from && other.valid_from <= to)
                    to = day_before(other.valid_from);
            PoolPart part;
            part.version = version->valid_from;
            part.first = from;
            part.last = to;
            part.price = version->tiers.front().price;
            sheet_.parts.push_back(part);
            from = date_from_days(days_since_epoch(to) + 1);
        }
    }

    std::optional<MeterPoint> figure(const std::string& meter, LocalDate day) {
        const std::int64_t number = days_since_epoch(day);
        const auto points = reader_.meter_days(meter, number, number + 1);
        if (!points.empty()) return points.front();
        problem("meter `" + meter + "` has no figure at the end of " + format_date(day) +
                "; it is shared once it was read again, or its dial entered");
        return std::nullopt;
    }

    std::optional<PoolMeter> use_of(const std::string& meter, LocalDate first, LocalDate last) {
        const auto from = figure(meter, day_before(first));
        const auto to = figure(meter, last);
        if (!from || !to) return std::nullopt;
        return PoolMeter{
            meter, from->total, to->total,
            from->quality == ReadingQuality::estimated || to->quality == ReadingQuality::estimated};
    }

    void meters() {
        for (const std::string& meter : pool_.main)
            if (const auto use = use_of(meter, first_, last_)) sheet_.mains.push_back(*use);
        for (const std::string& meter : pool_.subs)
            if (const auto use = use_of(meter, first_, last_)) sheet_.subs.push_back(*use);
        for (PoolPart& part : sheet_.parts) {
            for (const std::string& meter : pool_.main)
                if (const auto use = use_of(meter, part.first, part.last))
                    part.quantity += use->to - use->from;
            for (const std::string& meter : pool_.subs)
                if (const auto use = use_of(meter, part.first, part.last))
                    part.quantity -= use->to - use->from;
        }
    }

    bool covers(const Account& account, const std::string& unit) const {
        const bool service =
            account.service == AccountService::all ||
            (account.service == AccountService::water) == (pool_.service == Service::water);
        return account.unit == unit && service && account.billing == Billing::prepaid;
    }

    std::string account_of(const std::string& unit) {
        for (const Account& account : registry_.accounts)
            if (covers(account, unit) && account.closed.empty() && was_open(account.account))
                return account.account;
        return {};
    }

    // On the last day: the day before an account's first one is keyed as posted when it opens.
    bool was_open(const std::string& account) {
        return reader_.posted(account, "day:" + format_date(last_)) &&
               reader_.posted(account, "day:" + format_date(day_before(last_)));
    }

    // With the end of an account, under an approval that was taken back afterwards.
    bool was_paid(const std::string& unit) {
        const std::string cause = book::pool(pool_.pool) + "/" + sheet_.month;
        return std::any_of(registry_.accounts.begin(), registry_.accounts.end(),
                           [&](const Account& account) {
                               return covers(account, unit) && !account.closed.empty() &&
                                      reader_.posted(account.account, cause) &&
                                      !reader_.posted(account.account, "close:" + cause);
                           });
    }

    std::int64_t weight_of(const Unit& unit, bool over) {
        switch (pool_.share) {
            case PoolShare::equal:
                return 1;
            case PoolShare::area:
                return unit.area_centi.value_or(0);
            case PoolShare::usage:
                break;
        }
        Milli sum;
        for (const Meter& meter : registry_.meters) {
            if (!over || meter.unit != unit.unit || meter.service != pool_.service ||
                meter.role != MeterRole::unit)
                continue;
            if (const auto use = use_of(meter.meter, first_, last_)) sum += use->to - use->from;
        }
        return sum.count;
    }

    void members(bool over) {
        for (const std::string& id : pool_.members) {
            const auto unit = std::find_if(registry_.units.begin(), registry_.units.end(),
                                           [&](const Unit& one) { return one.unit == id; });
            PoolMember member;
            member.unit = id;
            if (unit != registry_.units.end()) member.weight = weight_of(*unit, over);
            member.account = account_of(id);
            member.paid_at_end = member.account.empty() && was_paid(id);
            sheet_.members.push_back(std::move(member));
        }
    }

    StoreReader& reader_;
    const Registry& registry_;
    const Pool& pool_;
    LocalDate first_, last_;
    PoolSheet sheet_;
    std::set<std::string> said_;
};

void meters_json(JsonWriter& json, const char* name, const std::vector<PoolMeter>& meters) {
    json.key(name).begin_array();
    for (const PoolMeter& meter : meters) {
        json.begin_object()
            .field("meter", meter.meter)
            .field("from", format(meter.from))
            .field("to", format(meter.to))
            .field("quantity", format(meter.to - meter.from))
            .field("estimated", meter.estimated)
            .end_object();
    }
    json.end_array();
}

std::string weight_text(const PoolSheet& sheet, const PoolMember& member) {
    switch (sheet.share) {
        case PoolShare::equal:
            return "1";
        case PoolShare::area:
            return format_decimal(member.weight, 2);
        case PoolShare::usage:
            break;
    }
    return format_decimal(member.weight, 3);
}

}  // namespace

PoolSheet read_pool_sheet(StoreReader& reader, const Registry& registry, const Pool& pool,
                          LocalDate month, UtcMs now, const Zone& zone) {
    return SheetReader(reader, registry, pool, month).read(now >= zone.midnight(next_month(month)));
}

std::string pool_sheet_json(const PoolSheet& sheet, const Registry& registry,
                            const std::string& currency) {
    std::map<std::string, std::string> labels;
    for (const Unit& unit : registry.units) labels[unit.unit] = unit.label;
    JsonWriter json;
    json.begin_object()
        .field("pool", sheet.pool)
        .field("month", sheet.month)
        .field("service", to_string(sheet.service))
        .field("unit_of_measure", sheet.service == Service::water ? "m3" : "kWh")
        .field("share", to_string(sheet.share));
    meters_json(json, "main", sheet.mains);
    meters_json(json, "subs", sheet.subs);
    json.field("quantity", format(sheet.quantity))
        .field("tariff", sheet.tariff)
        .key("parts")
        .begin_array();
    for (const PoolPart& part : sheet.parts) {
        json.begin_object()
            .field("version", format_date(part.version))
            .field("from", format_date(part.first))
            .field("to", format_date(part.last))
            .field("quantity", format(part.quantity))
            .field("price", format(part.price))
            .field("amount", format(part.amount))
            .end_object();
    }
    json.end_array()
        .field("amount", format(sheet.amount))
        .field("currency", currency)
        .key("members")
        .begin_array();
    Fen charged;
    for (const PoolMember& member : sheet.members) {
        json.begin_object().field("unit", member.unit);
        json.field_if("unit_label", labels[member.unit])
            .field("weight", weight_text(sheet, member))
            .field("amount", format(member.amount));
        if (member.account.empty())
            json.field("not_charged", member.paid_at_end
                                          ? "who left has paid a share of this month already"
                                          : "no prepaid account was open on the month's last day")
                .field("paid_at_end", member.paid_at_end);
        else
            json.field("account", member.account);
        json.end_object();
        if (!member.account.empty()) charged += member.amount;
    }
    json.end_array().field("charged_amount", format(charged)).key("problems").begin_array();
    for (const std::string& text : sheet.problems) json.value(text);
    json.end_array().end_object();
    return json.take();
}

}  // namespace gatehouse
