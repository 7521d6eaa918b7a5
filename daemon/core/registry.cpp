#include "daemon/core/registry.hpp"

#include <cstddef>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

// The words stand in the order of their enumerators.
constexpr std::array<const char*, 2> kServiceWords{"electricity", "water"};
constexpr std::array<const char*, 3> kUseWords{"home", "shop", "common"};
constexpr std::array<const char*, 6> kUnitStatusWords{"not_delivered", "vacant", "fitting_out",
                                                      "occupied",      "let",    "away"};
constexpr std::array<const char*, 4> kPersonKindWords{"owner", "tenant", "shop", "contractor"};
constexpr std::array<const char*, 4> kMeterRoleWords{"unit", "main", "public", "check"};
constexpr std::array<const char*, 3> kMeterStatusWords{"active", "stored", "retired"};
constexpr std::array<const char*, 3> kAccountServiceWords{"electricity", "water", "all"};
constexpr std::array<const char*, 3> kBillingWords{"prepaid", "internal", "none"};
constexpr std::array<const char*, 9> kStaffRoleWords{
    "desk", "duty", "collector", "cashier", "billing", "tech", "head", "admin", "contractor"};
constexpr std::array<const char*, 8> kKeyClassWords{
    "entrusted", "vacant", "public", "equipment", "rework", "reserve_sealed", "master", "no_loan"};
constexpr std::array<const char*, 3> kPoolShareWords{"equal", "area", "usage"};
constexpr std::array<const char*, 2> kDayKindWords{"holiday", "workday"};

template <class Enum, std::size_t Count>
const char* word_of(const std::array<const char*, Count>& words, Enum value) {
    const auto index = static_cast<std::size_t>(value);
    GH_ASSERT(index < Count);
    return words[index];
}

template <class Enum, std::size_t Count>
std::optional<Enum> value_of(const std::array<const char*, Count>& words, std::string_view text) {
    for (std::size_t i = 0; i < Count; ++i) {
        if (text == words[i]) return static_cast<Enum>(i);
    }
    return std::nullopt;
}

}  // namespace

const char* to_string(Service value) {
    return word_of(kServiceWords, value);
}
const char* to_string(Use value) {
    return word_of(kUseWords, value);
}
const char* to_string(UnitStatus value) {
    return word_of(kUnitStatusWords, value);
}
const char* to_string(PersonKind value) {
    return word_of(kPersonKindWords, value);
}
const char* to_string(MeterRole value) {
    return word_of(kMeterRoleWords, value);
}
const char* to_string(MeterStatus value) {
    return word_of(kMeterStatusWords, value);
}
const char* to_string(AccountService value) {
    return word_of(kAccountServiceWords, value);
}
const char* to_string(Billing value) {
    return word_of(kBillingWords, value);
}
const char* to_string(StaffRole value) {
    return word_of(kStaffRoleWords, value);
}
const char* to_string(KeyClass value) {
    return word_of(kKeyClassWords, value);
}
const char* to_string(PoolShare value) {
    return word_of(kPoolShareWords, value);
}
const char* to_string(DayKind value) {
    return word_of(kDayKindWords, value);
}

std::optional<Service> parse_service(std::string_view text) {
    return value_of<Service>(kServiceWords, text);
}
std::optional<Use> parse_use(std::string_view text) {
    return value_of<Use>(kUseWords, text);
}
std::optional<UnitStatus> parse_unit_status(std::string_view text) {
    return value_of<UnitStatus>(kUnitStatusWords, text);
}
std::optional<PersonKind> parse_person_kind(std::string_view text) {
    return value_of<PersonKind>(kPersonKindWords, text);
}
std::optional<MeterRole> parse_meter_role(std::string_view text) {
    return value_of<MeterRole>(kMeterRoleWords, text);
}
std::optional<MeterStatus> parse_meter_status(std::string_view text) {
    return value_of<MeterStatus>(kMeterStatusWords, text);
}
std::optional<AccountService> parse_account_service(std::string_view text) {
    return value_of<AccountService>(kAccountServiceWords, text);
}
std::optional<Billing> parse_billing(std::string_view text) {
    return value_of<Billing>(kBillingWords, text);
}
std::optional<StaffRole> parse_staff_role(std::string_view text) {
    return value_of<StaffRole>(kStaffRoleWords, text);
}
std::optional<KeyClass> parse_key_class(std::string_view text) {
    return value_of<KeyClass>(kKeyClassWords, text);
}
std::optional<PoolShare> parse_pool_share(std::string_view text) {
    return value_of<PoolShare>(kPoolShareWords, text);
}
std::optional<DayKind> parse_day_kind(std::string_view text) {
    return value_of<DayKind>(kDayKindWords, text);
}

std::string to_string(const Problem& problem) {
    std::string text = problem.file;
    if (problem.line > 0) text += ":" + std::to_string(problem.line);
    if (problem.line > 0 && problem.column > 0) text += ":" + std::to_string(problem.column);
    return text + ": " + problem.message;
}

}  // namespace gatehouse
