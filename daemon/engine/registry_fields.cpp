#include "daemon/engine/registry_fields.hpp"
#include "daemon/core/meter_counter.hpp"

#include "daemon/engine/registry_codecs.hpp"

namespace gatehouse::registry_files {
namespace {

constexpr std::int64_t kMoneyMax = 10'000'000'000'000;  // fen; far from where sums overflow
constexpr std::int64_t kLadderMax = 1'000'000'000'000;  // 1e-3

bool is_empty(const std::string& value) {
    return value.empty();
}
template <class T>
bool is_empty(const std::vector<T>& value) {
    return value.empty();
}
template <class T>
bool is_empty(const T&) {
    return false;
}

// A member that always has a value; where that is an empty text or list the cell is empty.
template <class Row, class Codec>
Field<Row> field(std::string_view name, typename Codec::Type Row::*member, Codec codec) {
    return {name,
            [member, codec](std::string_view cell, Row& row) {
                auto out = codec.read(cell);
                if (out.value) {
                    row.*member = std::move(*out.value);
                }
                return out.problem;
            },
            [member, codec](const Row& row) {
                return is_empty(row.*member) ? std::string() : codec.write(row.*member);
            },
            [member](const Row& from, Row& to) { to.*member = from.*member; }};
}

template <class Row, class Codec>
Field<Row> field(std::string_view name, std::optional<typename Codec::Type> Row::*member,
                 Codec codec) {
    return {name,
            [member, codec](std::string_view cell, Row& row) {
                auto out = codec.read(cell);
                if (out.value) {
                    row.*member = std::move(out.value);
                }
                return out.problem;
            },
            [member, codec](const Row& row) {
                return row.*member ? codec.write(*(row.*member)) : std::string();
            },
            [member](const Row& from, Row& to) { to.*member = from.*member; }};
}

const Identifier kId;
const Text kText;
const Text kWatched{.watched = true};
const Quantity<FenUnit> kAmount{{2, 0, kMoneyMax}};
const Quantity<FenUnit> kSignedAmount{{2, -kMoneyMax, kMoneyMax}};
const Word<Service> kService{{Service::electricity, Service::water}};
const List<Identifier> kIds{};

}  // namespace

template <>
const std::vector<Field<Unit>>& fields<Unit>() {
    static const std::vector<Field<Unit>> kFields{
        field("unit", &Unit::unit, kId),
        field("label", &Unit::label, kWatched),
        field("building", &Unit::building, kWatched),
        field("entrance", &Unit::entrance, kWatched),
        field("floor", &Unit::floor, kWatched),
        field("use", &Unit::use, Word<Use>{{Use::home, Use::shop, Use::common}}),
        field("status", &Unit::status,
              Word<UnitStatus>{{UnitStatus::not_delivered, UnitStatus::vacant,
                                UnitStatus::fitting_out, UnitStatus::occupied, UnitStatus::let,
                                UnitStatus::away}}),
        field("area", &Unit::area_centi, Fixed{2, 0, 100'000'000}),
        field("persons", &Unit::persons, Whole{0, 99}),
        field("walk_order", &Unit::walk_order, Whole{0, 1'000'000'000}),
        field("collector", &Unit::collector, kId),
        field("care", &Unit::care, kText),
    };
    return kFields;
}

template <>
const std::vector<Field<Person>>& fields<Person>() {
    static const std::vector<Field<Person>> kFields{
        field("person", &Person::person, kId),
        field("kind", &Person::kind,
              Word<PersonKind>{{PersonKind::owner, PersonKind::tenant, PersonKind::shop,
                                PersonKind::contractor}}),
        field("name", &Person::name, kText),
        field("phone", &Person::phone, kWatched),
        field("unit", &Person::unit, kId),
        field("company", &Person::company, kText),
        field("valid_from", &Person::valid_from, Date{}),
        field("valid_to", &Person::valid_to, Date{}),
    };
    return kFields;
}

template <>
const std::vector<Field<Meter>>& fields<Meter>() {
    static const std::vector<Field<Meter>> kFields{
        field("meter", &Meter::meter, kId),
        field("unit", &Meter::unit, kId),
        field("service", &Meter::service, kService),
        field("role", &Meter::role,
              Word<MeterRole>{
                  {MeterRole::unit, MeterRole::main, MeterRole::public_, MeterRole::check}}),
        field("parent", &Meter::parent, kId),
        field("bus", &Meter::bus, kId),
        field("address", &Meter::address, Whole{1, 247}),
        field("channel", &Meter::channel, Whole{0, 255}),
        field("profile", &Meter::profile, kId),
        field("serial", &Meter::serial, kWatched),
        field("nameplate", &Meter::nameplate, kWatched),
        field("location", &Meter::location, kText),
        field("multiplier", &Meter::multiplier,
              ExactDecimal{.negative_allowed = false, .zero_allowed = false, .most = 1'000'000}),
        field("offset", &Meter::offset,
              ExactDecimal{.negative_allowed = true, .zero_allowed = true, .most = 0}),
        field("rated_amps", &Meter::rated_amps,
              ExactDecimal{.negative_allowed = false, .zero_allowed = false, .most = 10'000'000}),
        field("rated_flow", &Meter::rated_flow,
              ExactDecimal{.negative_allowed = false, .zero_allowed = false, .most = 10'000'000}),
        field("opening_register", &Meter::opening_register, ExactDecimal{}),
        field("opening_at", &Meter::opening_at, Moment{}),
        field("account", &Meter::account, kId),
        field("tariff", &Meter::tariff, kId),
        field("status", &Meter::status,
              Word<MeterStatus>{{MeterStatus::active, MeterStatus::stored, MeterStatus::retired}}),
    };
    return kFields;
}

template <>
const std::vector<Field<Account>>& fields<Account>() {
    static const std::vector<Field<Account>> kFields{
        field("account", &Account::account, kId),
        field("unit", &Account::unit, kId),
        field("service", &Account::service,
              Word<AccountService>{
                  {AccountService::electricity, AccountService::water, AccountService::all}}),
        field("tariff", &Account::tariffs, List<Identifier>{{}, /*by_place=*/true}),
        field("holder", &Account::holder, kId),
        field("billing", &Account::billing,
              Word<Billing>{{Billing::prepaid, Billing::internal, Billing::none}}),
        field("opening_balance", &Account::opening_balance, kSignedAmount),
        field("opening_ladder", &Account::opening_ladder,
              List<Quantity<MilliUnit>>{
                  {{3, 0, kLadderMax}}, /*by_place=*/true, /*empty_is_none=*/true}),
        field("live_from", &Account::live_from, Date{}),
        field("low_balance", &Account::low_balance, kAmount),
        field("low_days", &Account::low_days, Whole{0, 365}),
        field("critical_balance", &Account::critical_balance, kAmount),
        field("critical_days", &Account::critical_days, Whole{0, 365}),
        field("overdraft", &Account::overdraft, kAmount),
        field("hoarding_cap", &Account::hoarding_cap, kAmount),
        field("chase", &Account::chase, YesNo{}),
        field("old_number", &Account::old_number, kWatched),
        field("closed", &Account::closed, Moment{}),
    };
    return kFields;
}

template <>
const std::vector<Field<Pool>>& fields<Pool>() {
    static const std::vector<Field<Pool>> kFields{
        field("pool", &Pool::pool, kId),
        field("service", &Pool::service, kService),
        field("main", &Pool::main, kIds),
        field("subs", &Pool::subs, kIds),
        field("share", &Pool::share,
              Word<PoolShare>{{PoolShare::equal, PoolShare::area, PoolShare::usage}}),
        field("members", &Pool::members, kIds),
        field("tariff", &Pool::tariff, kId),
    };
    return kFields;
}

template <>
const std::vector<Field<CalendarDay>>& fields<CalendarDay>() {
    static const std::vector<Field<CalendarDay>> kFields{
        field("date", &CalendarDay::date, Date{}),
        field("kind", &CalendarDay::kind, Word<DayKind>{{DayKind::holiday, DayKind::workday}}),
        field("name", &CalendarDay::name, kText),
    };
    return kFields;
}

template <>
const std::vector<Field<Staff>>& fields<Staff>() {
    static const std::vector<Field<Staff>> kFields{
        field("staff", &Staff::staff, kId),
        field("name", &Staff::name, kText),
        field("roles", &Staff::roles,
              List<Word<StaffRole>>{{{StaffRole::desk, StaffRole::duty, StaffRole::collector,
                                      StaffRole::cashier, StaffRole::billing, StaffRole::tech,
                                      StaffRole::head, StaffRole::admin, StaffRole::contractor}}}),
        field("department", &Staff::department, kText),
        field("phone", &Staff::phone, kWatched),
        field("cards", &Staff::cards, List<Card>{}),
        field("active_to", &Staff::active_to, Date{}),
        field("cash_limit", &Staff::cash_limit, kAmount),
    };
    return kFields;
}

template <>
const std::vector<Field<Key>>& fields<Key>() {
    static const std::vector<Field<Key>> kFields{
        field("key", &Key::key, kId),
        field("class", &Key::class_,
              Word<KeyClass>{{KeyClass::entrusted, KeyClass::vacant, KeyClass::public_,
                              KeyClass::equipment, KeyClass::rework, KeyClass::reserve_sealed,
                              KeyClass::master, KeyClass::no_loan}}),
        field("cabinet", &Key::cabinet, kId),
        field("slot", &Key::slot, Whole{1, 9'999}),
        field("place", &Key::place, kText),
        field("tag", &Key::tag, kWatched),
        field("count", &Key::count, Whole{0, 9'999}),
        field("opens", &Key::opens, List<Text>{Text{.watched = true, .characters_max = 64}}),
        field("max_hold", &Key::max_hold_ms, Duration{}),
        field("curfew", &Key::curfew, ClockTime{}),
        field("needs_second", &Key::needs_second, YesNo{}),
        field("seal_no", &Key::seal_no, kWatched),
        field("set", &Key::set, kWatched),
        field("label", &Key::label, kWatched),
    };
    return kFields;
}

RowProblems row_problems(const Person& row) {
    if (row.valid_from && row.valid_to && *row.valid_to < *row.valid_from) {
        return {{"valid_to",
                 "valid_to " + format_date(*row.valid_to) + " lies before valid_from " +
                     format_date(*row.valid_from),
                 {"valid_from"}}};
    }
    return {};
}

RowProblems row_problems(const Meter& row) {
    RowProblems out;
    const auto add = [&](const char* column, std::string message) {
        out.push_back({column,
                       std::move(message),
                       {"bus", "address", "channel", "opening_register", "opening_at", "service"}});
    };
    if (row.bus.empty() != !row.address) {
        add(row.bus.empty() ? "address" : "bus",
            "meter '" + row.meter +
                "' needs bus and address together; leave both empty where it is read by eye");
    }
    if (row.channel && row.bus.empty() && !row.address) {
        add("channel", "meter '" + row.meter + "' has a channel but no bus and address");
    }
    if (row.opening_at && !row.opening_register) {
        add("opening_at", "meter '" + row.meter +
                              "' has opening_at but no opening_register; give both or neither");
    }
    const auto opening = parse_rational(row.opening_register.value_or("0"));
    const auto multiplier = parse_rational(row.multiplier);
    if (opening && multiplier && multiplier->numerator > 0 && !counts_from(*opening, *multiplier)) {
        add("opening_register", "meter '" + row.meter + "': opening_register " +
                                    *row.opening_register + " with multiplier " + row.multiplier +
                                    " is beyond what can be counted; give the figure on the "
                                    "meter's face, not its number");
    }
    if (row.parent == row.meter && !row.parent.empty()) {
        add("parent", "meter '" + row.meter + "' names itself as its parent");
    }
    if (row.rated_flow && row.service == Service::electricity) {
        add("rated_flow", "rated_flow is for water meters; an electricity meter has rated_amps");
    }
    if (row.rated_amps && row.service == Service::water) {
        add("rated_amps", "rated_amps is for electricity meters; a water meter has rated_flow");
    }
    return out;
}

RowProblems row_problems(const Account& row) {
    RowProblems out;
    if (row.low_balance && row.critical_balance && *row.critical_balance > *row.low_balance) {
        out.push_back({"critical_balance",
                       "critical_balance " + format(*row.critical_balance) +
                           " is above low_balance " + format(*row.low_balance),
                       {"low_balance"}});
    }
    if (row.low_days && row.critical_days && *row.low_days != 0 &&
        *row.critical_days > *row.low_days) {
        out.push_back({"critical_days",
                       "critical_days " + std::to_string(*row.critical_days) +
                           " is above low_days " + std::to_string(*row.low_days),
                       {"low_days"}});
    }
    if (row.opening_balance && row.billing != Billing::prepaid) {
        out.push_back({"opening_balance",
                       "only prepaid accounts have a balance; account '" + row.account +
                           "' has billing " + to_string(row.billing),
                       {"billing"}});
    }
    return out;
}

RowProblems row_problems(const Key& row) {
    if (row.slot && row.cabinet.empty()) {
        return {{"slot",
                 "key '" + row.key + "' has a slot but no cabinet; name the cabinet",
                 {"cabinet"}}};
    }
    return {};
}

}  // namespace gatehouse::registry_files
