#include "daemon/http/exports.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "daemon/core/export_space.hpp"
#include "daemon/core/space.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/workbook.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kLookRows = 256;  // rows between two looks at the disk
constexpr const char* kLeftPrefix = ".gatehouse-export-";
constexpr const char* kXlsxType =
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

std::string folder_of(const std::string& database_path) {
    const auto folder = std::filesystem::path(database_path).parent_path();
    return folder.empty() ? "." : folder.string();
}

[[noreturn]] void refuse_for_now(const char* type, const std::string& detail, const char* again_s) {
    Response response = problem(503, type, detail);
    for (auto& [name, value] : response.headers)
        if (name == "Retry-After") value = again_s;
    throw Refused{std::move(response)};
}

[[noreturn]] void no_space(const std::string& why) {
    refuse_for_now("export", "The file could not be written beside the books: " + why, "60");
}

bool has_room(const std::string& folder, std::uint64_t written) {
    struct statvfs found {};
    if (::statvfs(folder.c_str(), &found) != 0) no_space(std::strerror(errno));
    return may_write_beside(found.f_bavail * found.f_frsize,
                            reserve_bytes_for(found.f_blocks * found.f_frsize), written);
}

// A file in a folder of its own beside the books: what stands in /tmp may stand in memory. The
// names go with the object, the bytes with the last descriptor.
class Scratch {
  public:
    explicit Scratch(const std::string& beside) {
        std::error_code error;
        folder_ = std::filesystem::canonical(beside, error).string() + "/" + kLeftPrefix + "XXXXXX";
        if (error || ::mkdtemp(folder_.data()) == nullptr) no_space(std::strerror(errno));
        path_ = folder_ + "/table";
        fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd_ >= 0) return;
        const int why = errno;
        ::rmdir(folder_.c_str());
        no_space(std::strerror(why));
    }
    ~Scratch() {
        forget_name();
        ::close(fd_);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }
    void forget_name() {
        if (path_.empty()) return;
        ::unlink(path_.c_str());
        ::rmdir(folder_.c_str());
        path_.clear();
    }
    void write(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0) no_space(std::strerror(errno));
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    // The bytes at `at`, kPieceBytes at most; none behind the end.
    [[nodiscard]] std::size_t read(std::uint64_t at, std::string& piece) const {
        const std::size_t before = piece.size();
        piece.resize(before + kPieceBytes);
        const ssize_t n = ::pread(fd_, piece.data() + before, kPieceBytes, static_cast<off_t>(at));
        if (n < 0) throw std::runtime_error(std::strerror(errno));
        piece.resize(before + static_cast<std::size_t>(n));
        return static_cast<std::size_t>(n);
    }

  private:
    std::string folder_, path_;
    int fd_ = -1;
};

class ScratchBody final : public BodySource {
  public:
    explicit ScratchBody(std::shared_ptr<Scratch> file) : file_(std::move(file)) {}
    Next next(std::string& piece) override {
        const std::size_t n = file_->read(at_, piece);
        at_ += n;
        return n == 0 ? Next::end : Next::more;
    }

  private:
    std::shared_ptr<Scratch> file_;
    std::uint64_t at_ = 0;
};

struct Digest {
    std::string sha256;
    std::uint64_t bytes = 0;
};
Digest digest_of(const Scratch& file) {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
    EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
    Digest digest;
    std::string piece;
    while (file.read(digest.bytes, piece) != 0) {
        EVP_DigestUpdate(hash.get(), piece.data(), piece.size());
        digest.bytes += piece.size();
        piece.clear();
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(hash.get(), raw.data(), &size);
    static constexpr char kHex[] = "0123456789abcdef";
    for (unsigned int i = 0; i < size; ++i) {
        digest.sha256 += kHex[raw[i] >> 4U];
        digest.sha256 += kHex[raw[i] & 0xFU];
    }
    return digest;
}

class CsvBody final : public BodySource {
  public:
    CsvBody(const TableSpec& spec, bool chinese, std::unique_ptr<RowSource> rows,
            std::shared_ptr<HeavyExport> heavy)
        : spec_(spec),
          chinese_(chinese),
          rows_(std::move(rows)),
          heavy_(std::move(heavy)),
          row_(spec.columns.size()) {}
    Next next(std::string& piece) override {
        if (!begun_) append_csv_head(piece, spec_, chinese_);
        begun_ = true;
        while (piece.size() < kPieceBytes) {
            if (!rows_->next(row_)) {
                // Before the peer has the end, so that it may begin the next one at once.
                heavy_.reset();
                return Next::end;
            }
            if (chinese_) translate(spec_, row_);
            append_csv(piece, row_);
        }
        return Next::more;
    }

  private:
    const TableSpec& spec_;
    bool chinese_, begun_ = false;
    std::unique_ptr<RowSource> rows_;
    std::shared_ptr<HeavyExport> heavy_;
    Row row_;
};

void name_file(Response& response, const std::string& name, bool csv) {
    response.content_type = csv ? "text/csv; charset=utf-8" : kXlsxType;
    response.headers.emplace_back("Content-Disposition",
                                  "attachment; filename=\"" + name + (csv ? ".csv\"" : ".xlsx\""));
    response.headers.emplace_back("Vary", "Accept");
}

void too_many(std::size_t most) {
    throw Refused{problem(413, "too-many-rows",
                          "A sheet holds " + std::to_string(most) +
                              " rows and this list has more. Ask for fewer, or for CSV.")};
}

// Takes rows and writes them into a file, as CSV or as a workbook.
class FileWriter {
  public:
    FileWriter(Call& call, const TableSpec& spec, bool chinese)
        : app_(call.app),
          spec_(spec),
          chinese_(chinese),
          csv_(call.request.format == Format::csv),
          folder_(folder_of(call.app.options.database_path)) {
        look();
        file_ = std::make_shared<Scratch>(folder_);
        if (csv_) {
            append_csv_head(text_, spec_, chinese_);
        } else {
            book_ = std::make_unique<Workbook>(file_->path(), file_->folder(), spec_, chinese_);
        }
    }
    void row(Row& row) {
        ++rows_;
        if (chinese_) translate(spec_, row);
        if (csv_) {
            append_csv(text_, row);
            if (text_.size() >= kPieceBytes) write();
        } else {
            // Heading and foot are rows of the sheet as well.
            if (rows_ + 2 > app_.options.limits.sheet_rows)
                too_many(app_.options.limits.sheet_rows);
            book_->row(row);
        }
        if (rows_ % kLookRows == 0) look();
    }
    // Of a workbook; rows of the first sheet are over.
    void next_sheet(const TableSpec& spec, const std::vector<json::object>& items) {
        book_->next_sheet(spec);
        for (const json::object& item : items) {
            Row row(spec.columns.size());
            fill_row(item, spec, row);
            if (chinese_) translate(spec, row);
            book_->row(row);
        }
    }
    std::shared_ptr<Scratch> finish(About about) {
        look();
        if (csv_) {
            write();
        } else {
            about.emplace_back(chinese_ ? "行数" : "rows", std::to_string(rows_));
            try {
                book_->finish(about);
            } catch (const std::runtime_error& error) {
                no_space(error.what());
            }
        }
        file_->forget_name();
        return file_;
    }
    [[nodiscard]] bool csv() const { return csv_; }

  private:
    void write() {
        file_->write(text_);
        written_ += text_.size();
        text_.clear();
    }
    // A file that nobody needs at once is never what fills the disk of the books.
    void look() {
        if (app_.stopping) refuse_for_now("stopping", "The daemon stops; ask again.", "10");
        std::uint64_t written = written_;
        try {
            if (book_) written = book_->bytes();
        } catch (const std::runtime_error& error) {
            no_space(error.what());
        }
        if (app_.engine.snapshot()->store_ok && has_room(folder_, written)) return;
        refuse_for_now("disk-low",
                       "The disk of the books has no room for a file of this size beside them; "
                       "nothing of it was kept. Free some space, or ask for CSV, which a list "
                       "sends without a file.",
                       "60");
    }

    App& app_;
    const TableSpec& spec_;
    bool chinese_, csv_;
    std::string folder_, text_;
    std::size_t rows_ = 0;
    std::uint64_t written_ = 0;
    std::shared_ptr<Scratch> file_;
    std::unique_ptr<Workbook> book_;
};

class ListSource final : public RowSource {
  public:
    ListSource(Call& call, Handler list, const TableSpec& spec, ItemParts parts)
        : app_(call.app),
          request_(call.request),
          params_(call.params),
          actor_(call.actor),
          person_(call.person),
          snapshot_(call.snapshot),
          list_(list),
          spec_(spec),
          make_parts_(parts) {
        request_.wants_html = false;
        std::erase_if(request_.query, [](const auto& one) { return one.first == "lang"; });
        for (const auto& [name, value] : request_.query) whole_ = whole_ && name != "limit";
        if (whole_) request_.query.emplace_back("limit", std::to_string(kLimitMax));
        read_page();
    }
    bool next(Row& row) override {
        if (part_ < parts_.size()) {
            fill_row(parts_[part_++], spec_, row);
            return true;
        }
        while (at_ == items_.size()) {
            if (!more_) return false;
            read_page();
        }
        const json::object& item = items_[at_++].as_object();
        if (make_parts_ == nullptr) {
            fill_row(item, spec_, row);
            return true;
        }
        parts_ = make_parts_(item);
        part_ = 0;
        return next(row);
    }

  private:
    void read_page() {
        Call call{app_, request_, params_, actor_, person_, snapshot_};
        const Response answer = list_(call);
        if (answer.status != 200) throw Refused{answer};
        json::object document = json::parse(answer.body).as_object();
        items_ = std::move(document["items"].as_array());
        at_ = 0;
        more_ = whole_ && document["has_more"].as_bool() && !items_.empty();
        if (!more_) return;
        const json::value& next = document["next"];
        std::erase_if(request_.query, [](const auto& one) { return one.first == "after"; });
        request_.query.emplace_back("after", next.is_string()
                                                 ? std::string(next.get_string().c_str())
                                                 : std::to_string(next.to_number<std::uint64_t>()));
    }

    App& app_;
    Request request_;
    std::vector<std::string> params_;
    std::string actor_, person_;
    std::shared_ptr<const Snapshot> snapshot_;
    Handler list_;
    const TableSpec& spec_;
    bool whole_ = true;  // to the end, not `limit` rows
    ItemParts make_parts_;
    json::array items_;
    std::vector<json::object> parts_;  // of the item before at_
    std::size_t at_ = 0, part_ = 0;
    bool more_ = false;
};

Response workbook_response(Call& call, const TableSpec& spec, RowSource& rows,
                           const TableSpec* second, const std::vector<json::object>& second_items) {
    const bool chinese = wants_chinese(call.request);
    FileWriter writer(call, spec, chinese);
    Row row(spec.columns.size());
    while (rows.next(row)) writer.row(row);
    if (second != nullptr) writer.next_sheet(*second, second_items);
    const auto file = writer.finish({{chinese ? "站点" : "site", call.app.options.site_id}});
    Response response;
    name_file(response, spec.name, /*csv=*/false);
    response.length = digest_of(*file).bytes;
    response.source = std::make_shared<ScratchBody>(file);
    return response;
}

}  // namespace

HeavyExport::HeavyExport(App& app) : app_(app) {
    if (!app_.heavy_export.exchange(true)) return;
    Response busy = problem(429, "export-busy",
                            "One long export runs already, and there is one at a time. Ask again "
                            "when it has ended.");
    busy.headers.emplace_back("Retry-After", "10");
    throw Refused{std::move(busy)};
}

HeavyExport::~HeavyExport() {
    app_.heavy_export = false;
}

bool wants_chinese(const Request& request) {
    std::string lang;
    for (const auto& [name, value] : request.query)
        if (name == "lang") lang = value;
    check_language(lang);
    return lang.starts_with("zh");
}

Response table_response(Call& call, const TableSpec& spec, std::unique_ptr<RowSource> rows,
                        std::shared_ptr<HeavyExport> heavy) {
    const bool chinese = wants_chinese(call.request);
    Response response;
    if (call.request.format == Format::csv) {
        name_file(response, spec.name, /*csv=*/true);
        response.source =
            std::make_shared<CsvBody>(spec, chinese, std::move(rows), std::move(heavy));
        return response;
    }
    return workbook_response(call, spec, *rows, nullptr, {});
}

Response table_response(Call& call, const TableSpec& spec, std::unique_ptr<RowSource> rows,
                        const TableSpec& second, const std::vector<json::object>& second_items) {
    if (call.request.format == Format::csv) return table_response(call, spec, std::move(rows));
    return workbook_response(call, spec, *rows, &second, second_items);
}

Response file_response(Call& call, const TableSpec& spec, const std::string& name,
                       const std::function<About(const TakeRow&)>& produce) {
    FileWriter writer(call, spec, wants_chinese(call.request));
    About about = produce([&](Row& row) { writer.row(row); });
    const auto file = writer.finish(std::move(about));
    const Digest digest = digest_of(*file);
    const std::string tag = "\"" + digest.sha256 + "\"";
    Response response;
    name_file(response, name, writer.csv());
    response.headers.emplace_back("ETag", tag);
    response.headers.emplace_back("Cache-Control", "private, immutable, max-age=31536000");
    if (call.request.if_none_match.find(tag) != std::string::npos) {
        response.status = 304;
        return response;
    }
    response.length = digest.bytes;
    response.source = std::make_shared<ScratchBody>(file);
    return response;
}

std::unique_ptr<RowSource> list_source(Call& call, Handler list, const TableSpec& spec,
                                       ItemParts parts) {
    return std::make_unique<ListSource>(call, list, spec, parts);
}

void remove_left_exports(const std::string& database_path) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_of(database_path), ignored))
        if (entry.path().filename().string().starts_with(kLeftPrefix))
            std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace gatehouse::http
