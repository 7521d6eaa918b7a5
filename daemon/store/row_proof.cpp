#include "daemon/store/row_proof.hpp"

#include <sodium.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "daemon/core/assert.hpp"

namespace gatehouse::store {
namespace {

using sql::Connection;
using sql::Query;

struct Proven {
    const char* table;
    const char* owner;  // whose rows are written together, as text
    const char* row;    // which of them
    const char* of;     // all rows of one owner
    const char* told;   // what a fault calls it
};
#define GATEHOUSE_ACCOUNT_OF "(SELECT a.account FROM account a WHERE a.id=account_tariff.account)"
#define GATEHOUSE_FIGURE_OF "(SELECT a.account FROM account a WHERE a.id=edge_figure.account)"
constexpr Proven kProven[] = {
    {"unit", "unit", "''", "unit=?", "unit"},
    {"meter", "meter", "''", "meter=?", "meter"},
    {"account", "account", "''", "account=?", "account"},
    {"account_tariff", GATEHOUSE_ACCOUNT_OF, "n",
     "account=(SELECT a.id FROM account a WHERE a.account=?)", "tariffs of account"},
    {"tariff", "tariff", "''", "tariff=?", "tariff"},
    {"tariff_version", "tariff", "valid_from", "tariff=?", "version of tariff"},
    {"tariff_tier", "tariff", "valid_from||', '||n", "tariff=?", "tier of tariff"},
    {"tariff_band", "tariff", "valid_from||', '||n", "tariff=?", "band of tariff"},
    {"tariff_fixed", "tariff", "valid_from||', '||n", "tariff=?", "fixed fee of tariff"},
    {"calendar", "date", "''", "date=?", "calendar day"},
    {"pool", "pool", "''", "pool=?", "pool"},
    {"epoch", "id||''", "''", "id=?", "epoch"},
    {"replacement", "id||''", "''", "id=?", "replacement"},
    {"manual_reading", "id||''", "''", "id=?", "reading by eye"},
    {"settling_cause", "event||''", "''", "event=?", "settlement of event"},
    {"edge_figure", GATEHOUSE_FIGURE_OF, "reading||', '||at_ms||', '||event",
     "account=(SELECT a.id FROM account a WHERE a.account=?)", "figure at an edge of account"},
    {"entry_text", "entry||''", "''", "entry=?", "text of entry"},
};

// Nobody's secret: a change is shown, not hindered.
constexpr std::array<unsigned char, crypto_shorthash_KEYBYTES> kKey{
    'g', 'a', 't', 'e', 'h', 'o', 'u', 's', 'e', ' ', 'r', 'o', 'w', 's', ' ', '1'};
constexpr unsigned kBitsLeftOut = 17;  // six bytes are stored
constexpr std::int64_t kReadingsAtOnce = 4'096;

void add(std::string& bytes, const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
}

void add_value(std::string& bytes, sqlite3_value* value) {
    const int type = sqlite3_value_type(value);
    bytes.push_back(static_cast<char>(type));
    if (type == SQLITE_NULL) return;
    if (type == SQLITE_INTEGER) {
        const std::int64_t number = sqlite3_value_int64(value);
        add(bytes, &number, sizeof number);
        return;
    }
    const void* data = type == SQLITE_BLOB ? sqlite3_value_blob(value)
                                           : static_cast<const void*>(sqlite3_value_text(value));
    const std::int64_t size = sqlite3_value_bytes(value);
    add(bytes, &size, sizeof size);
    if (size > 0) add(bytes, data, static_cast<std::size_t>(size));
}

void row_proof_function(sqlite3_context* context, int count, sqlite3_value** values) {
    std::string bytes;
    for (int i = 0; i < count; ++i) add_value(bytes, values[i]);
    std::array<unsigned char, crypto_shorthash_BYTES> digest{};
    crypto_shorthash(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size(), kKey.data());
    std::uint64_t number = 0;
    std::memcpy(&number, digest.data(), sizeof number);
    sqlite3_result_int64(context, static_cast<sqlite3_int64>(number >> kBitsLeftOut));
}

std::string columns_of(Connection& connection, const char* table) {
    Query query(connection, "SELECT name FROM pragma_table_info(?) ORDER BY cid");
    query << table;
    std::string names;
    while (query.step()) {
        const std::string name = query.text();
        if (name == "proof") continue;
        names += (names.empty() ? "" : ",") + name;
    }
    return names;
}

std::size_t index_of(std::string_view table) {
    const auto* found = std::find_if(std::begin(kProven), std::end(kProven),
                                     [&](const Proven& one) { return one.table == table; });
    GH_ASSERT(found != std::end(kProven));
    return static_cast<std::size_t>(found - std::begin(kProven));
}

std::string rows_of(Connection& connection, const Proven& one) {
    return std::string("SELECT '") + one.table + "'," + one.owner + "," + one.row + "||''," +
           "row_proof(" + columns_of(connection, one.table) + ") FROM " + one.table;
}

Query query_of(Connection& connection, const std::string& sql) {
    return Query(connection, connection.prepare(sql));
}

std::string named(const Proven& one, const std::string& owner, const std::string& row) {
    return std::string(one.told) + " " + owner + (row.empty() ? "" : " (" + row + ")");
}

std::string table_fault(Connection& connection, const Proven& one) {
    {
        Query query = query_of(
            connection, "SELECT now.owner,now.row FROM (" + std::string("SELECT ") + one.owner +
                            " AS owner," + one.row + "||'' AS row,row_proof(" +
                            columns_of(connection, one.table) + ") AS proof FROM " + one.table +
                            ") now LEFT JOIN row_proof kept ON kept.place='" + one.table +
                            "' AND kept.owner=now.owner AND kept.row=now.row "
                            "WHERE kept.proof IS NOT now.proof LIMIT 1");
        if (query.step()) {
            const std::string owner = query.text();
            return named(one, owner, query.text()) + ": its row is not as it was written";
        }
    }
    std::string of = one.of;
    of.replace(of.find('?'), 1, "kept.owner");
    Query query =
        query_of(connection, std::string("SELECT kept.owner,kept.row FROM row_proof kept WHERE "
                                         "kept.place='") +
                                 one.table + "' AND NOT EXISTS(SELECT 1 FROM " + one.table +
                                 " WHERE " + of + " AND " + one.row + "||''=kept.row) LIMIT 1");
    if (!query.step()) return {};
    const std::string owner = query.text();
    return named(one, owner, query.text()) + ": its row is gone";
}

std::string reading_fault(Connection& connection, const std::function<void()>& breathe) {
    const std::string sql =
        "SELECT seq FROM reading WHERE seq>? AND seq<=? AND proof IS NOT NULL "
        "AND proof<>row_proof(" +
        columns_of(connection, "reading") + ") LIMIT 1";
    const std::int64_t last =
        sql::number(connection, "SELECT coalesce(max(seq),0) FROM reading").value_or(0);
    std::int64_t from =
        sql::number(connection, "SELECT coalesce(min(seq),1)-1 FROM reading").value_or(0);
    for (; from < last; from += kReadingsAtOnce) {
        breathe();
        Query query = query_of(connection, sql);
        query << from << from + kReadingsAtOnce;
        if (query.step())
            return "reading " + std::to_string(query.i64()) + ": its row is not as it was written";
    }
    return {};
}

}  // namespace

void know_row_proof(sqlite3* database) {
    sqlite3_create_function_v2(database, "row_proof", -1,
                               SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, nullptr,
                               row_proof_function, nullptr, nullptr, nullptr);
}

void prove(Connection& connection, const char* table, const std::string& owner) {
    // Rows are written under the newest schema alone, so its columns are known once.
    static const std::vector<std::string> inserts = [&] {
        std::vector<std::string> all;
        for (const Proven& one : kProven)
            all.push_back("INSERT INTO row_proof " + rows_of(connection, one) + " WHERE " + one.of);
        return all;
    }();
    {
        Query query(connection, "DELETE FROM row_proof WHERE place=? AND owner=?");
        query << table << owner;
        query.run();
    }
    Query query(connection, inserts[index_of(table)].c_str());
    query << owner;
    query.run();
}

void prove_all(Connection& connection) {
    connection.exec("DELETE FROM row_proof");
    for (const Proven& one : kProven)
        connection.exec("INSERT INTO row_proof " + rows_of(connection, one));
}

std::string row_fault(Connection& connection, const char* table) {
    return table_fault(connection, kProven[index_of(table)]);
}

std::string row_fault(Connection& connection, const std::function<void()>& breathe) {
    for (const Proven& one : kProven)
        if (std::string fault = table_fault(connection, one); !fault.empty()) return fault;
    return reading_fault(connection, breathe);
}

}  // namespace gatehouse::store
