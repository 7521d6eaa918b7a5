// What a reader holds between calls. Private to reader*.cpp; one thread at a time.
#pragma once

#include "daemon/store/decode.hpp"
#include "daemon/store/reader.hpp"
#include "daemon/store/sql.hpp"

namespace gatehouse {

struct StoreReader::Impl {
    explicit Impl(const std::string& path, sql::Connection::Mode mode = sql::Connection::Mode::read)
        : connection(path, mode) {}

    // One read transaction a call: what an answer says of several tables was true at one moment.
    // Learns of runs and contexts that came since the last call.
    class Moment {
      public:
        explicit Moment(Impl& impl);
        ~Moment();
        Moment(const Moment&) = delete;
        Moment& operator=(const Moment&) = delete;

      private:
        Impl& impl_;
    };

    [[nodiscard]] StoredReading reading(sql::Query& query);
    [[nodiscard]] std::optional<StoredReading> reading_at(std::uint64_t seq);
    [[nodiscard]] std::optional<StoredReading> standing_at(std::uint64_t seq,
                                                           std::uint64_t up_to = INT64_MAX);
    [[nodiscard]] std::optional<StoredEntry> entry_at(std::uint64_t seq);
    void add_text(StoredEntry& entry);
    void list_entries(EntryPage& page, const std::vector<std::uint64_t>& seqs,
                      const std::string& book_name);
    [[nodiscard]] std::vector<std::uint64_t> entries_of(const std::string& book_name,
                                                        std::uint64_t after);
    [[nodiscard]] std::vector<WhyLine> lines_of(const std::string& account,
                                                const std::string& scope);
    [[nodiscard]] std::uint64_t first_reading_from(UtcMs at);
    // The seq of that meter's row number `most` with first <= seq < last; kNoEdge: it has fewer.
    static constexpr std::uint64_t kNoEdge = INT64_MAX;
    [[nodiscard]] std::uint64_t page_edge(const std::string& meter, std::uint64_t first,
                                          std::uint64_t last, std::size_t most);
    // What a statement with one parameter, a meter, finds first.
    [[nodiscard]] std::optional<std::int64_t> first_place(const char* sql,
                                                          const std::string& meter);

    sql::Connection connection;
    std::int64_t data_version = -1;
    store::RunBases bases;
    RunTimes times;
    store::Contexts contexts;
    std::int64_t newest_context = 0;
};

}  // namespace gatehouse
