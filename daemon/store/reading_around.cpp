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
    ReadingRow row;     // with the figures of what stands in its place, and its own seq
    Milli first_total;  // as it came
    UtcMs at = -kForever;
    bool dated = false;     // that time is known
    bool in_order = false;  // it came when it stands
};

bool is_estimated(const Standing& one) {
    return one.row.quality == ReadingQuality::estimated;
}

bool lies_before(const Standing& one, const Standing& other) {
    const auto order = [](const Standing& it) {
        return std::make_tuple(it.at, !it.dated, it.dated ? it.row.total.count : 0, it.row.seq);
    };
    return order(one) < order(other);
}

bool is_twin(const Standing& one, const Standing& other) {
    const Stamp &a = one.row.at, &b = other.row.at;
    const bool same = one.dated && other.dated
                          ? one.at == other.at
                          : !one.dated && !other.dated && a.run == b.run && a.mono_ms == b.mono_ms;
    return same && one.row.total == other.row.total;
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
        if (!root_.dated) root_.at = last_dated();
    }
    [[nodiscard]] const Standing& root() const { return root_; }
    void find() {
        const UtcMs from = walk_back();
        const UtcMs to = walk_on();
        find_late(from, to);
        UtcMs last = -kForever;
        for (auto& [seq, one] : found_) {
            if (!one.dated)
                one.at = last;
            else if (one.in_order)
                last = std::max(last, one.at);
        }
    }
    void sort(ReadingAround& around) {
        std::vector<Standing> before, after;
        for (auto& [seq, one] : found_) {
            if (is_twin(one, root_))
                around.twins.push_back(std::move(one.row));
            else
                (lies_before(one, root_) ? before : after).push_back(std::move(one));
        }
        std::sort(before.begin(), before.end(), lies_before);
        std::sort(after.begin(), after.end(), lies_before);
        if (root_.dated) leave_undated(before, after, around);
        std::erase_if(after, [&](const Standing& one) { return is_late(one); });
        const auto read = std::find_if_not(before.rbegin(), before.rend(), is_estimated);
        const auto first = read == before.rend() ? before.begin() : std::prev(read.base());
        for (auto one = first; one != before.end(); ++one)
            around.before.push_back(std::move(one->row));
        for (Standing& one : after) {
            const bool ends = ends_after(one);
            if (!ends && !is_estimated(one)) around.repeats.insert(one.row.seq);
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
        one.dated = root.stands_at || came.trusted;
        if (one.dated) one.at = root.stands_at.value_or(came.at);
        one.in_order =
            (came.trusted && came.at - one.at <= kInOrderMs) || root.kind == ReadingKind::manual;
        one.first_total = root.total;
        one.row = row_at(books_.newest_row(root.seq)).value_or(root);
        one.row.kind = root.kind;
        one.row.seq = root.seq;
        if (!one.row.stands_at && root.stands_at) one.row.stands_at = root.stands_at;
        return one;
    }
    // The same figure when it came and now: both were right, both wrong, or corrected together.
    [[nodiscard]] bool repeats(const Standing& one) const {
        return one.row.total == root_.row.total && one.first_total == root_.first_total;
    }
    // One that was estimated and corrected since is a neighbour by itself.
    [[nodiscard]] bool ends_after(const Standing& one) const {
        return lies_before(root_, one) && !is_estimated(one) && !repeats(one);
    }
    // Says nothing of what was read behind it: where that has no time, it may as well lie before.
    [[nodiscard]] bool is_late(const Standing& one) const {
        return !root_.dated && one.dated && !one.in_order && one.row.seq > root_.row.seq;
    }
    // Where the row is dated, so is what it lies between: the estimates beside it were laid without
    // what nobody could date. That is a neighbour where nothing else stands before, repeats the
    // row's figure where nothing dated has another behind it, and else only bounds it, where the
    // order in which they came is that in which they were read.
    void leave_undated(std::vector<Standing>& before, std::vector<Standing>& after,
                       ReadingAround& around) const {
        const auto is_dated_read = [](const Standing& one) {
            return one.dated && !is_estimated(one);
        };
        const bool begins = std::any_of(before.begin(), before.end(), is_dated_read);
        const bool ends = std::any_of(after.begin(), after.end(), [&](const Standing& one) {
            return one.dated && ends_after(one);
        });
        const auto leave = [&](const Standing& one) {
            if (one.dated) return false;
            const bool came_before = one.row.seq < root_.row.seq;
            if (came_before && !begins) return false;
            if (!came_before && !ends && repeats(one)) return false;
            if (came_before && root_.in_order &&
                (!around.least || around.least->total < one.row.total))
                around.least = one.row;
            if (!came_before && (!around.most || one.row.total < around.most->total))
                around.most = one.row;
            return true;
        };
        std::erase_if(before, leave);
        std::erase_if(after, leave);
    }
    // When the newest dated row stands that came before the row.
    UtcMs last_dated() {
        Query query(connection_,
                    "SELECT " GATEHOUSE_READING_COLUMNS
                    "FROM reading WHERE seq<?1 AND " GATEHOUSE_OF_METER_2 " ORDER BY seq DESC");
        query << root_.row.seq << root_.row.meter;
        while (query.step()) {
            const ReadingRow row = columns(query);
            if (row.meter != root_.row.meter || row.supersedes) continue;
            const Standing one = standing(row);
            if (one.dated && one.in_order) return one.at;
        }
        return -kForever;
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
            if (one == nullptr || !one->dated || !one->in_order) continue;
            if (one->at > root_.at || is_twin(*one, root_)) continue;
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
            if (one != nullptr && one->dated && !is_late(*one) && ends_after(*one)) return one->at;
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
            if (one != nullptr && (!one->dated || one->at < from || one->at > to))
                found_.erase(seq);
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
