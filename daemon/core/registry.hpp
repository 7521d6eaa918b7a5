// The registry as values: every file and column of CONTRACT.md 3, checked and typed. Reading and
// writing the files is engine/registry_files; storing them is store/. Pure data, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

enum class Service { electricity, water };
inline constexpr std::array<Service, 2> kServices{Service::electricity, Service::water};
enum class Use { home, shop, common };
enum class UnitStatus { not_delivered, vacant, fitting_out, occupied, let, away };
enum class PersonKind { owner, tenant, shop, contractor };
enum class MeterRole { unit, main, public_, check };
enum class MeterStatus { active, stored, retired };
enum class AccountService { electricity, water, all };
enum class Billing { prepaid, internal, none };
enum class StaffRole { desk, duty, collector, cashier, billing, tech, head, admin, contractor };
enum class KeyClass {
    entrusted,
    vacant,
    public_,
    equipment,
    rework,
    reserve_sealed,
    master,
    no_loan
};
enum class PoolShare { equal, area, usage };
enum class DayKind { holiday, workday };

// The words of the files ("public" for public_) and back; nothing for a word that is none.
[[nodiscard]] const char* to_string(Service value);
[[nodiscard]] const char* to_string(Use value);
[[nodiscard]] const char* to_string(UnitStatus value);
[[nodiscard]] const char* to_string(PersonKind value);
[[nodiscard]] const char* to_string(MeterRole value);
[[nodiscard]] const char* to_string(MeterStatus value);
[[nodiscard]] const char* to_string(AccountService value);
[[nodiscard]] const char* to_string(Billing value);
[[nodiscard]] const char* to_string(StaffRole value);
[[nodiscard]] const char* to_string(KeyClass value);
[[nodiscard]] const char* to_string(PoolShare value);
[[nodiscard]] const char* to_string(DayKind value);
[[nodiscard]] std::optional<Service> parse_service(std::string_view text);
[[nodiscard]] std::optional<Use> parse_use(std::string_view text);
[[nodiscard]] std::optional<UnitStatus> parse_unit_status(std::string_view text);
[[nodiscard]] std::optional<PersonKind> parse_person_kind(std::string_view text);
[[nodiscard]] std::optional<MeterRole> parse_meter_role(std::string_view text);
[[nodiscard]] std::optional<MeterStatus> parse_meter_status(std::string_view text);
[[nodiscard]] std::optional<AccountService> parse_account_service(std::string_view text);
[[nodiscard]] std::optional<Billing> parse_billing(std::string_view text);
[[nodiscard]] std::optional<StaffRole> parse_staff_role(std::string_view text);
[[nodiscard]] std::optional<KeyClass> parse_key_class(std::string_view text);
[[nodiscard]] std::optional<PoolShare> parse_pool_share(std::string_view text);
[[nodiscard]] std::optional<DayKind> parse_day_kind(std::string_view text);

struct Unit {
    std::string unit;
    std::string label, building, entrance, floor;
    Use use = Use::home;
    UnitStatus status = UnitStatus::occupied;
    std::optional<std::int64_t> area_centi;  // m2 x 100
    std::optional<int> persons;
    std::optional<int> walk_order;
    std::string collector;
    std::string care;
    friend bool operator==(const Unit&, const Unit&) = default;
};

struct Person {
    std::string person;
    PersonKind kind = PersonKind::owner;
    std::string name, phone, unit, company;
    std::optional<LocalDate> valid_from, valid_to;
    friend bool operator==(const Person&, const Person&) = default;
};

struct Meter {
    std::string meter;
    std::string unit;
    Service service = Service::electricity;
    MeterRole role = MeterRole::unit;
    std::string parent, bus;
    std::optional<int> address, channel;
    std::string profile, serial, nameplate, location;
    std::string multiplier = "1";                 // exact decimal, canonical text
    std::optional<std::string> offset;            // exact decimal: dial - counter at pairing
    std::optional<std::string> rated_amps;        // exact decimal
    std::optional<std::string> rated_flow;        // exact decimal
    std::optional<std::string> opening_register;  // exact decimal, face
    std::optional<std::string> opening_at;        // ISO 8601 or local date, as given
    std::string account, tariff;
    MeterStatus status = MeterStatus::active;
    friend bool operator==(const Meter&, const Meter&) = default;
};

struct Account {
    std::string account;
    std::string unit;
    AccountService service = AccountService::electricity;
    std::vector<std::string> tariffs;  // one a covered service, electricity first
    std::string holder;
    Billing billing = Billing::prepaid;
    std::optional<Fen> opening_balance;
    std::vector<Milli> opening_ladder;  // in the order of tariffs, may be shorter
    std::optional<LocalDate> live_from;
    std::optional<Fen> low_balance, critical_balance, overdraft, hoarding_cap;
    std::optional<int> low_days, critical_days;
    std::optional<bool> chase;
    std::string old_number;
    std::string closed;  // read-only, written by export
    friend bool operator==(const Account&, const Account&) = default;
};

enum class LadderPeriod { none, month, year };
struct Tier {
    std::vector<int> months;     // empty: all months that no other entry names
    std::optional<Milli> up_to;  // inclusive; absent: open
    Price price;                 // without bands
    Price adder;                 // with bands
    friend bool operator==(const Tier&, const Tier&) = default;
};
enum class BandDays { all, workday, weekend, holiday };
struct Band {
    std::string name;
    int from_minute = 0, to_minute = 0;  // of the local day; to is exclusive, 1440 = 24:00
    std::vector<int> months;             // empty: all
    BandDays days = BandDays::all;
    Price price;
    friend bool operator==(const Band&, const Band&) = default;
};
enum class FeePeriod { month, day };
struct FixedFee {
    std::string name;
    FeePeriod per = FeePeriod::month;
    Fen amount;
    friend bool operator==(const FixedFee&, const FixedFee&) = default;
};
struct PerPerson {
    int from = 0;
    Milli up_to_plus;
    friend bool operator==(const PerPerson&, const PerPerson&) = default;
};
struct TariffVersion {
    LocalDate valid_from;  // local midnight, inclusive
    LadderPeriod ladder = LadderPeriod::none;
    int ladder_from_month = 1, ladder_from_day = 1;
    std::vector<Tier> tiers;
    std::vector<Band> bands;
    std::optional<PerPerson> per_person;
    std::vector<FixedFee> fixed;
    Fen minimum;
    Milli quantity_step{1};
    friend bool operator==(const TariffVersion&, const TariffVersion&) = default;
};
struct Tariff {
    std::string tariff;                        // id
    std::map<std::string, std::string> label;  // by language
    Service service = Service::electricity;
    std::string source;
    std::vector<Use> uses;                // empty: all
    std::vector<TariffVersion> versions;  // ascending valid_from
    friend bool operator==(const Tariff&, const Tariff&) = default;
};

struct Pool {
    std::string pool;
    Service service = Service::electricity;
    std::vector<std::string> main, subs, members;
    PoolShare share = PoolShare::equal;
    std::string tariff;
    friend bool operator==(const Pool&, const Pool&) = default;
};

struct CalendarDay {
    LocalDate date;
    DayKind kind = DayKind::holiday;
    std::string name;
    friend bool operator==(const CalendarDay&, const CalendarDay&) = default;
};

struct Staff {
    std::string staff, name;
    std::vector<StaffRole> roles;
    std::string department, phone;
    std::vector<std::string> cards;  // format:value as given, or hmac256:hex as exported
    std::optional<LocalDate> active_to;
    std::optional<Fen> cash_limit;
    friend bool operator==(const Staff&, const Staff&) = default;
};

struct Key {
    std::string key;
    KeyClass class_ = KeyClass::entrusted;
    std::string cabinet;
    std::optional<int> slot;
    std::string place, tag;
    std::optional<int> count;
    std::vector<std::string> opens;
    std::optional<std::int64_t> max_hold_ms;
    std::string curfew;  // HH:MM or empty
    std::optional<bool> needs_second;
    std::string seal_no, set, label;
    friend bool operator==(const Key&, const Key&) = default;
};

// Rows keep the order of their files, which export keeps too.
struct Registry {
    std::vector<Unit> units;
    std::vector<Person> people;
    std::vector<Meter> meters;
    std::vector<Account> accounts;
    std::vector<Tariff> tariffs;
    std::vector<Pool> pools;
    std::vector<CalendarDay> calendar;
    std::vector<Staff> staff;
    std::vector<Key> keys;
    friend bool operator==(const Registry&, const Registry&) = default;
};

// One thing wrong with an input file. line and column count from 1; 0 where the whole file is
// meant.
struct Problem {
    std::string file;
    int line = 0;
    int column = 0;
    std::string message;  // names value and remedy, and the nearest valid name where one is close
};
[[nodiscard]] std::string to_string(const Problem& problem);  // file:line:column: message

}  // namespace gatehouse
