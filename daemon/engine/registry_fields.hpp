// How each column of the registry's CSV files becomes a member and a cell again: one table that
// reading, merging and writing share, so that they cannot disagree. For the implementation of
// registry_files.hpp alone. Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {

// A value, or a sentence that says what is wrong with the cell and what would be right.
template <class T>
struct Cell {
    std::optional<T> value;
    std::string problem;
};

// `read` takes a cell that is not empty; what an empty one means is the member's default.
template <class Row>
struct Field {
    std::string_view name;
    std::function<std::string(std::string_view cell, Row& row)> read;  // the problem, or nothing
    std::function<std::string(const Row& row)> write;
    std::function<void(const Row& from, Row& to)> copy;
};

template <class Row>
[[nodiscard]] const std::vector<Field<Row>>& fields();
template <>
const std::vector<Field<Unit>>& fields<Unit>();
template <>
const std::vector<Field<Person>>& fields<Person>();
template <>
const std::vector<Field<Meter>>& fields<Meter>();
template <>
const std::vector<Field<Account>>& fields<Account>();
template <>
const std::vector<Field<Pool>>& fields<Pool>();
template <>
const std::vector<Field<CalendarDay>>& fields<CalendarDay>();
template <>
const std::vector<Field<Staff>>& fields<Staff>();
template <>
const std::vector<Field<Key>>& fields<Key>();

[[nodiscard]] inline std::string id_of(const Unit& row) {
    return row.unit;
}
[[nodiscard]] inline std::string id_of(const Person& row) {
    return row.person;
}
[[nodiscard]] inline std::string id_of(const Meter& row) {
    return row.meter;
}
[[nodiscard]] inline std::string id_of(const Account& row) {
    return row.account;
}
[[nodiscard]] inline std::string id_of(const Tariff& row) {
    return row.tariff;
}
[[nodiscard]] inline std::string id_of(const Pool& row) {
    return row.pool;
}
[[nodiscard]] inline std::string id_of(const CalendarDay& row) {
    return format_date(row.date);
}
[[nodiscard]] inline std::string id_of(const Staff& row) {
    return row.staff;
}
[[nodiscard]] inline std::string id_of(const Key& row) {
    return row.key;
}

// What two members of one row must keep between them.
struct RowProblem {
    std::string column;  // where it is told
    std::string message;
    std::vector<std::string_view> rests_on;  // where one of these was not read it is no news
};
using RowProblems = std::vector<RowProblem>;
[[nodiscard]] RowProblems row_problems(const Person& row);
[[nodiscard]] RowProblems row_problems(const Meter& row);
[[nodiscard]] RowProblems row_problems(const Account& row);
[[nodiscard]] RowProblems row_problems(const Key& row);
template <class Row>
[[nodiscard]] RowProblems row_problems(const Row&) {
    return {};
}

// Calls `visit(table, member pointer)` for each CSV table in the order of file_columns().
template <class Visit>
void for_each_csv_table(const Visit& visit) {
    visit(Table::units, &Registry::units);
    visit(Table::people, &Registry::people);
    visit(Table::meters, &Registry::meters);
    visit(Table::accounts, &Registry::accounts);
    visit(Table::pools, &Registry::pools);
    visit(Table::calendar, &Registry::calendar);
    visit(Table::staff, &Registry::staff);
    visit(Table::keys, &Registry::keys);
}

[[nodiscard]] const FileColumns& columns_of(Table table);

}  // namespace gatehouse::registry_files
