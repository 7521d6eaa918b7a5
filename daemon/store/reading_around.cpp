// A reading among those of its meter, as a correction needs them. Rows are kept in the order in
// which they came, and their neighbours are those in time: what was split after the clock was
// confirmed came later than the sample that ended its stretch.
#include <algorithm>
#include <map>
#include <tuple>

#include "daemon/store/account_books.hpp"
#include "daemon/store/decode.hpp"

namespace gatehouse {

using sql::Query;

namespace {

#define GATEHOUSE_OF_METER_2 \
    "context IN (SELECT x.id FROM meter_context x JOIN meter m ON m.id=x.meter WHERE m.meter=?2)"

// A row that stands at an instant so long before it came says nothing of the order of the others.
constexpr UtcMs kInOrderMs = 10 * 60'000;
constexpr UtcMs kDayMs = 86'400'000;
constexpr UtcMs kForever = std::int64_t{1} << 62;

struct Standing {
    ReadingRow row;  // with the figures of what stands in its place, and its own seq
    UtcMs at = 0;
    bool dated = false;     // that time is known
    bool in_order = false;  // it came when it stands
};

bool is_estimated(const Standing& one) {
    return one.row.quality == ReadingQuality::estimated;
}

auto order_of(const Standing& one) {
    return std::tie(one.at, one.row.total.count, one.row.seq);
}

class Search {
  public:
    Search(sql::Connection& connection, const store::RunBases& bases, AccountBooks& books)
        : connection_(connection), bases_(bases), books_(books) {
        store::load_contexts(connection, contexts_, 0);
        times_.set(store::load_runs(connection));
    }
    std::optional<ReadingRow> row_at(std::uint64_t seq) {
        Query query(connection_, "SELECT " GATEHOUSE_READING_COLUMNS "FROM reading WHERE seq=?");
        query << seq;
        if (!query.step()) return std::nullopt;
        return columns(query);
    }
    void begin(const ReadingRow& root) {
        root_ = standing(root);
        found_.clear();
    }
    [[nodiscard]] const Standing& root() const { return root_; }
    void find() {
        const UtcMs from = walk_back();
        const UtcMs to = walk_on();
        find_late(from, to);
    }
    void sort(ReadingAround& around) {
        std::vector<Standing> before, after, twins;
        for (auto& [seq, one] : found_) {
            const bool same_instant = one.at == root_.at;
            if (same_instant && one.row.total == root_.row.total)
                twins.push_back(std::move(one));
            else if (one.at < root_.at || (same_instant && one.row.total < root_.row.total))
                before.push_back(std::move(one));
            else if (one.dated || seq > root_.row.seq)
                after.push_back(std::move(one));
        }
        const auto by_time = [](const Standing& a, const Standing& b) {
            return order_of(a) < order_of(b);
        };
        std::sort(before.begin(), before.end(), by_time);
        std::sort(after.begin(), after.end(), by_time);
        for (Standing& one : twins) around.twins.push_back(std::move(one.row));
        const auto read = std::find_if_not(before.rbegin(), before.rend(), is_estimated);
        const auto first = read == before.rend() ? before.begin() : std::prev(read.base());
        for (auto one = first; one != before.end(); ++one)
            around.before.push_back(std::move(one->row));
        for (Standing& one : after) {
            const bool ends = ends_after(one);
            around.after.push_back(std::move(one.row));
            if (ends) break;
        }
    }

  private:
    ReadingRow columns(Query& query) {
        ReadingRow row;
        apply(contexts_.at(store::reading_columns(query, bases_, row)), row);
        return row;
    }
    Standing standing(const ReadingRow& root) {
        Standing one;
        const RunTimes::Time came = times_.time(root.at);
        one.at = root.stands_at.value_or(came.at);
        one.dated = root.stands_at || came.trusted;
        one.in_order = came.at - one.at <= kInOrderMs || root.kind == ReadingKind::manual;
        one.row = row_at(books_.newest_row(root.seq)).value_or(root);
        one.row.kind = root.kind;
        one.row.seq = root.seq;
        if (!one.row.stands_at && root.stands_at) one.row.stands_at = root.stands_at;
        return one;
    }
    // One that was estimated and corrected since is a neighbour by itself.
    [[nodiscard]] bool ends_after(const Standing& one) const {
        const bool behind =
            one.at > root_.at || (one.at == root_.at && one.row.total > root_.row.total);
        return behind && !is_estimated(one) && one.row.total != root_.row.total;
    }
    const Standing* take(const ReadingRow& row) {
        if (row.meter != root_.row.meter || row.supersedes || row.seq == root_.row.seq)
            return nullptr;
        return &found_.try_emplace(row.seq, standing(row)).first->second;
    }
    // To the newest that was read before, and over one more that lies before that one: what came
    // earlier still also stands earlier.
    UtcMs walk_back() {
        UtcMs newest = -kForever;
        Query query(connection_,
                    "SELECT " GATEHOUSE_READING_COLUMNS
                    "FROM reading WHERE seq<?1 AND " GATEHOUSE_OF_METER_2 " ORDER BY seq DESC");
        query << root_.row.seq << root_.row.meter;
        while (query.step()) {
            const Standing* one = take(columns(query));
            if (one == nullptr || !one->in_order || one->at > root_.at) continue;
            if (one->at == root_.at && one->row.total == root_.row.total) continue;
            if (one->at < newest) break;
            if (!is_estimated(*one)) newest = one->at;
        }
        return newest;
    }
    UtcMs walk_on() {
        Query query(connection_,
                    "SELECT " GATEHOUSE_READING_COLUMNS
                    "FROM reading WHERE seq>?1 AND " GATEHOUSE_OF_METER_2 " ORDER BY seq");
        query << root_.row.seq << root_.row.meter;
        while (query.step()) {
            const Standing* one = take(columns(query));
            if (one != nullptr && ends_after(*one)) return one->at;
        }
        return kForever;
    }
    // What stands between them may have come at any time: midnights are found by their days, and
    // what is rare by its index.
    void find_late(UtcMs from, UtcMs to) {
        std::vector<std::uint64_t> seqs;
        {
            Query query(connection_,
                        "SELECT r.seq FROM meter m JOIN meter_context x ON x.meter=m.id "
                        "JOIN reading r INDEXED BY reading_rare ON r.context=x.id AND r.kind>2 "
                        "WHERE m.meter=?1 AND r.supersedes IS NULL UNION "
                        "SELECT reading FROM (WITH RECURSIVE days(p) AS "
                        "(SELECT max(?2,(SELECT min(day) FROM meter_day)) UNION ALL SELECT p+1 "
                        "FROM days WHERE p<min(?3,(SELECT max(day) FROM meter_day))) "
                        "SELECT d.reading FROM days CROSS JOIN meter_day d ON d.day=p AND "
                        "d.meter=(SELECT id FROM meter WHERE meter=?1))");
            query << root_.row.meter << from / kDayMs - 2 << to / kDayMs + 2;
            while (query.step()) seqs.push_back(query.u64());
        }
        for (const std::uint64_t seq : seqs) {
            if (found_.contains(seq)) continue;
            const auto row = row_at(seq);
            if (!row) continue;
            const Standing* one = take(*row);
            if (one != nullptr && (one->at < from || one->at > to)) found_.erase(seq);
        }
    }

    sql::Connection& connection_;
    const store::RunBases& bases_;
    AccountBooks& books_;
    store::Contexts contexts_;
    RunTimes times_;
    Standing root_;
    std::map<std::uint64_t, Standing> found_;
};

}  // namespace

ReadingAround AccountBooks::around(std::uint64_t reading) {
    ReadingAround around;
    Search search(connection_, bases_, *this);
    auto root = search.row_at(reading);
    if (root && root->supersedes) root = search.row_at(*root->supersedes);
    if (!root) return around;
    search.begin(*root);
    around.root = root->seq;
    around.newest = newest_row(root->seq);
    around.row = search.root().row;
    search.find();
    search.sort(around);
    const auto begins = [&](std::uint64_t seq) {
        Query terms(connection_,
                    "SELECT 1 FROM meter_terms JOIN meter ON meter.id=meter_terms.meter "
                    "WHERE meter.meter=? AND from_reading=?");
        terms << root->meter << seq;
        return terms.step();
    };
    around.begins =
        begins(root->seq) || std::any_of(around.twins.begin(), around.twins.end(),
                                         [&](const ReadingRow& twin) { return begins(twin.seq); });
    return around;
}

}  // namespace gatehouse
