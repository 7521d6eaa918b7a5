#include "daemon/store/verify_pools.hpp"

#include "daemon/store/chain.hpp"

namespace gatehouse::store {
namespace {

struct Rule {
    const char* rows;   // selects the name of the first row that breaks it
    const char* words;  // before that name
};
#define GATEHOUSE_POOL_FEES                         \
    "SELECT cause,account,amount FROM entry WHERE " \
    "kind='fee' AND cause>='pool:' AND cause<'pool;'"
constexpr Rule kRules[] = {
    {"SELECT 'pool '||pool||', '||month FROM pool_sheet WHERE amount<>(SELECT "
     "coalesce(sum(pool_share.amount),0) FROM pool_share WHERE pool_share.event=pool_sheet.event) "
     "LIMIT 1",
     "the shares do not sum to what was shared: "},
    {"SELECT 'pool '||pool||', '||month FROM pool_sheet JOIN event_body "
     "ON event_body.seq=pool_sheet.event WHERE instr(body,sha256)=0 LIMIT 1",
     "approved with another hash than the log says: "},
    {"SELECT 'pool '||pool||', '||month||', unit '||pool_share.unit FROM pool_share JOIN "
     "pool_sheet "
     "USING(event) WHERE pool_share.state='charged' AND pool_share.amount<>0 AND "
     "('pool:'||pool||'/'||month,account,-pool_share.amount) NOT IN(" GATEHOUSE_POOL_FEES
     ") LIMIT 1",
     "a share that was charged is not in the ledger: "},
    {"SELECT 'entry of '||cause FROM (" GATEHOUSE_POOL_FEES
     ") WHERE (cause,account,amount) NOT IN(SELECT 'pool:'||pool||'/'||month,account,"
     "-pool_share.amount FROM pool_share JOIN pool_sheet USING(event) "
     "WHERE pool_share.state='charged' AND account IS NOT NULL) LIMIT 1",
     "charged beside the sheet of its pool: "},
    {"SELECT 'pool '||pool||', '||month FROM pool_sheet WHERE state='charged' AND EXISTS(SELECT 1 "
     "FROM pool_share WHERE pool_share.event=pool_sheet.event AND pool_share.state='waiting') "
     "LIMIT 1",
     "charged, and some shares wait: "},
};

}  // namespace

std::string pool_fault(sql::Connection& connection) {
    for (const Rule& rule : kRules) {
        sql::Query query(connection, rule.rows);
        if (query.step()) return rule.words + query.maybe_text().value_or("?");
    }
    sql::Query query(connection, "SELECT pool,month,document,sha256 FROM pool_sheet");
    while (query.step()) {
        const std::string pool = query.text();
        const std::string month = query.text();
        const std::string document = query.text();
        if (hex(sha256(document)) != query.text())
            return "the sheet of pool " + pool + ", " + month +
                   ", is not the one that was approved";
    }
    return {};
}

}  // namespace gatehouse::store
