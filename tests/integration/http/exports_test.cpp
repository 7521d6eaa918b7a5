// Lists and files as CSV and XLSX over HTTP.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "daemon/http/message.hpp"
#include "daemon/http/routes.hpp"
#include "daemon/http/table.hpp"
#include "daemon/http/workbook.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

const std::string kXlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const std::string kBom = "\xEF\xBB\xBF";

std::size_t lines(const std::string& csv) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = csv.find("\r\n", at)) != std::string::npos; ++at) ++count;
    return count;
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        count += entry.path().empty() ? 0U : 1U;
    return count;
}

std::size_t exports_left(HttpHouse& house) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(house.folder.file("")))
        if (entry.path().string().find("gatehouse-export") != std::string::npos) ++count;
    return count;
}

const http::Column kOneColumn[] = {{"text", "文字"}};
const http::TableSpec kOneTable = {"words", "文字", kOneColumn};

}  // namespace

TEST_CASE("a list comes as CSV by Accept or by suffix, from after to its end") {
    HttpHouse house;
    const Got suffix = house.ask("GET", "/api/v1/readings.csv");
    REQUIRE(suffix.status == 200);
    REQUIRE(suffix.header("Content-Type") == "text/csv; charset=utf-8");
    REQUIRE(suffix.header("Content-Disposition") == "attachment; filename=\"readings.csv\"");
    REQUIRE(suffix.body.starts_with(kBom + "seq,kind,meter,unit,account,role,service,register"));
    REQUIRE(lines(suffix.body) == 6);
    REQUIRE(suffix.body.find(",interval,e-0,h-0,a-0,unit,electricity,100.000,1,") !=
            std::string::npos);
    const Got accept = house.ask("GET", "/api/v1/readings", "", "Accept: text/csv\r\n");
    REQUIRE(accept.body == suffix.body);
    const Got rest =
        house.ask("GET", "/api/v1/readings.csv?after=" + std::to_string(house.readings[2]));
    REQUIRE(lines(rest.body) == 3);
    REQUIRE(lines(house.ask("GET", "/api/v1/readings.csv?limit=2").body) == 3);
    REQUIRE(house.ask("GET", "/api/v1/readings.csv?limit=0").status == 400);
    REQUIRE(house.ask("GET", "/api/v1/readings.csv?lang=fr").status == 400);
    REQUIRE(house.ask("GET", "/api/v1/readings.csv?kinds=month").status == 400);
    REQUIRE(house.ask("GET", "/api/v1/readings?lang=fr").status == 400);
    const Got json =
        house.ask("GET", "/api/v1/readings", "", "Accept: text/csv;q=0.5, application/json\r\n");
    REQUIRE(json.header("Content-Type") == "application/json");
    const Got head = house.ask("HEAD", "/api/v1/readings.csv");
    REQUIRE(head.status == 200);
    REQUIRE(head.header("Content-Type") == "text/csv; charset=utf-8");
    REQUIRE(head.body.empty());
}

TEST_CASE("the times of a CSV are those of the JSON") {
    HttpHouse house;
    const Got json = house.ask("GET", "/api/v1/readings");
    const Got csv = house.ask("GET", "/api/v1/readings.csv");
    for (const char* item : {"0", "1", "2", "3", "4"}) {
        const std::string time = at(json.body, "/items/" + std::string(item) + "/at");
        REQUIRE(csv.body.find(',' + time + ',') != std::string::npos);
    }
}

TEST_CASE("lang=zh-CN gives Chinese headings and words, never both") {
    HttpHouse house;
    const Got got = house.ask("GET", "/api/v1/accounts.csv?lang=zh-CN");
    REQUIRE(got.status == 200);
    REQUIRE(got.body.starts_with(kBom + "账户,房号,房屋,项目,"));
    REQUIRE(got.body.find(",电,") != std::string::npos);
    REQUIRE(got.body.find("electricity") == std::string::npos);
    REQUIRE(lines(got.body) == 4);
}

TEST_CASE("every list that offices take answers as CSV and XLSX, and HEAD of both") {
    HttpHouse house;
    for (const http::Route& route : http::routes()) {
        if (route.table == nullptr) continue;
        std::string target = route.pattern;
        for (const auto& [name, id] : {std::pair{"{meter}", "e-0"},
                                       {"{account}", "a-0"},
                                       {"{month}", "2026-10"},
                                       {"{unit}", "h-0"},
                                       {"{date}", "2026-11-23"}}) {
            const std::size_t place = target.find(name);
            if (place != std::string::npos) target.replace(place, std::string(name).size(), id);
        }
        const std::string query = target.ends_with("-book") ? "?account=a-0" : "";
        for (const char* suffix : {".csv", ".xlsx"}) {
            const Got got = house.ask("GET", target + suffix + query);
            INFO(target << suffix << " " << got.head << got.body.substr(0, 300));
            REQUIRE(got.status == 200);
            const bool csv = std::string(suffix) == ".csv";
            REQUIRE(got.body.starts_with(csv ? kBom : "PK"));
            REQUIRE(house.ask("HEAD", target + suffix + query).status == 200);
            const Got again = house.ask("GET", target + suffix + query);
            REQUIRE(again.body == got.body);
        }
    }
    // What was written beside the books is gone.
    for (const auto& entry : std::filesystem::directory_iterator(house.folder.file("")))
        REQUIRE(entry.path().string().find("gatehouse-export") == std::string::npos);
}

TEST_CASE("a closed month's table is the same bytes under their own hash, and 304 for who has it") {
    HttpHouse house;
    for (const char* suffix : {".csv", ".xlsx"}) {
        const std::string path = "/api/v1/periods/2026-10/readings" + std::string(suffix);
        const Got first = house.ask("GET", path);
        REQUIRE(first.status == 200);
        REQUIRE(first.header("Content-Length") == std::to_string(first.body.size()));
        REQUIRE(first.header("ETag") == "\"" + http::sha256_hex(first.body) + "\"");
        REQUIRE(house.ask("GET", path).body == first.body);
        const Got again =
            house.ask("GET", path, "", "If-None-Match: " + first.header("ETag") + "\r\n");
        REQUIRE(again.status == 304);
        REQUIRE(again.body.empty());
    }
    // That month was sealed before its lines had registers, and is as it was.
    const Got lines = house.ask("GET", "/api/v1/periods/2026-10/charges.csv");
    REQUIRE(lines.status == 200);
    REQUIRE(lines.body.substr(0, lines.body.find('\r')).ends_with(",entry,seq"));
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-11/charges.csv").status == 409);
    REQUIRE(house.ask("GET", "/api/v1/periods/2026-09/charges.xlsx").status == 404);
}

TEST_CASE("rooms, keys and tickets go as tables as well") {
    HttpHouse house;
    const Got units = house.ask("GET", "/api/v1/units.csv?lang=zh-CN");
    REQUIRE(units.status == 200);
    REQUIRE(units.body.find("房号,房屋,楼栋") == 3);
    REQUIRE(units.body.find("\r\nh-0,") != std::string::npos);
    for (const char* list : {"keys", "tickets"}) {
        const std::string target = std::string("/api/v1/") + list;
        REQUIRE(house.ask("GET", target + ".csv").header("Content-Type") ==
                "text/csv; charset=utf-8");
        REQUIRE(house.ask("GET", target + ".xlsx").body.starts_with("PK"));
    }
}

TEST_CASE("a cell that a spreadsheet would run is escaped, a number is not") {
    std::string out;
    http::append_csv(out,
                     {"=1+1", "-3.50", "+86", "@x", "-", "a,b", "say \"hi\"", "-a\nb", "张三"});
    REQUIRE(out == "'=1+1,-3.50,+86,'@x,'-,\"a,b\",\"say \"\"hi\"\"\",\"'-a\nb\",张三\r\n");
}

TEST_CASE("more rows than a sheet holds are 413 as XLSX and go as CSV") {
    HouseOptions options;
    options.limits.sheet_rows = 6;  // heading, four rows, foot
    HttpHouse house(options);
    const Got beyond = house.ask("GET", "/api/v1/readings.xlsx");
    REQUIRE(beyond.status == 413);
    REQUIRE(at(beyond.body, "/type") == "urn:gatehouse:problem:too-many-rows");
    REQUIRE(house.ask("GET", "/api/v1/readings.xlsx?limit=4").status == 200);
    REQUIRE(house.ask("GET", "/api/v1/readings.csv").status == 200);
}

TEST_CASE("one long export at a time: the second is 429 until the first has ended") {
    HouseOptions options;
    options.limits.write_timeout_ms = 60'000;
    HttpHouse house(options);
    house.many_readings(40'000);
    Wire slow(house.socket_path);
    slow.send(request_text("GET", "/api/v1/readings.csv", "", ""));
    REQUIRE(slow.receive(/*head_only=*/true).status == 200);
    const Got second = house.ask("GET", "/api/v1/charges.csv");
    REQUIRE(second.status == 429);
    REQUIRE(at(second.body, "/type") == "urn:gatehouse:problem:export-busy");
    REQUIRE(second.header("Retry-After") == "10");
    // A page, a short list and everything else go on beside it.
    REQUIRE(house.ask("GET", "/api/v1/readings.csv?limit=5").status == 200);
    REQUIRE(house.ask("GET", "/api/v1/meters.xlsx").status == 200);
    REQUIRE(house.ask("GET", "/api/v1/readings").status == 200);
    std::string chunk = "?", all;
    while (!chunk.empty()) {
        REQUIRE(slow.receive_chunk(chunk));
        all += chunk;
    }
    REQUIRE(lines(all) == 40'006);
    int status = 429;
    for (int i = 0; i < 2000 && status != 200; ++i) {
        status = house.ask("GET", "/api/v1/charges.csv").status;
        if (status != 200) ::usleep(5'000);
    }
    REQUIRE(status == 200);
}

TEST_CASE("who does not read an export is dropped without its end, and frees the place") {
    HouseOptions options;
    options.limits.write_timeout_ms = 200;
    HttpHouse house(options);
    house.many_readings(40'000);
    Wire deaf(house.socket_path);
    deaf.send(request_text("GET", "/api/v1/readings.csv", "", ""));
    REQUIRE(deaf.receive(/*head_only=*/true).status == 200);
    int status = 429;
    for (int i = 0; i < 4000 && status != 200; ++i) {
        status = house.ask("GET", "/api/v1/charges.csv").status;
        if (status != 200) ::usleep(5'000);
    }
    REQUIRE(status == 200);
    std::string chunk = "?";
    bool whole = true;
    while (whole && !chunk.empty()) whole = deaf.receive_chunk(chunk);
    REQUIRE_FALSE(whole);
}

TEST_CASE("an export that is not over in its time has no last chunk") {
    HouseOptions options;
    options.limits.export_timeout_ms = 3'000;
    HttpHouse house(options);
    house.many_readings(40'000);
    Wire cut(house.socket_path);
    cut.send(request_text("GET", "/api/v1/readings.csv", "", ""));
    REQUIRE(cut.receive(/*head_only=*/true).status == 200);
    ::usleep(3'100'000);
    std::string chunk = "?";
    bool whole = true;
    while (whole && !chunk.empty()) whole = cut.receive_chunk(chunk);
    REQUIRE_FALSE(whole);
    REQUIRE(house.ask("GET", "/api/v1/readings.csv?limit=1").status == 200);
}

TEST_CASE("HTTP/1.0 gets the bytes as they are, and the end of the connection as their end") {
    HttpHouse house;
    Wire old(house.socket_path);
    old.send("GET /api/v1/meters.csv HTTP/1.0\r\n\r\n");
    const Got got = old.receive(/*head_only=*/true);
    REQUIRE(got.status == 200);
    REQUIRE(got.header("Transfer-Encoding").empty());
    REQUIRE(old.ended());
}

TEST_CASE("reports answer as JSON and refuse what they do not know") {
    HttpHouse house;
    const Got daily = house.ask("GET", "/api/v1/reports/daily/2026-11-23");
    REQUIRE(daily.status == 200);
    REQUIRE(at(daily.body, "/items/0/collector") == "s-01");
    REQUIRE(at(daily.body, "/items/0/electricity") == "100.00");
    REQUIRE(at(daily.body, "/items/0/receipt_first") == "R-1");
    REQUIRE(at(daily.body, "/items/0/void_numbers").empty());
    REQUIRE(at(daily.body, "/due") == "100.00");
    REQUIRE(at(daily.body, "/now/quarantined") == "1");
    REQUIRE(house.ask("GET", "/api/v1/reports/daily/2026-11-22").body.find("s-01") ==
            std::string::npos);
    REQUIRE(house.ask("GET", "/api/v1/reports/daily/x").status == 404);
    const Got book = house.ask("GET", "/api/v1/ledger-book?account=a-0");
    REQUIRE(count_items(book.body) == 3);
    REQUIRE(at(book.body, "/items/0/summary") == "opening");
    REQUIRE(at(book.body, "/items/1/in") == "100.00");
    REQUIRE(at(book.body, "/items/2/balance_after") == "100.00");
    // A date alone is the last day of the book.
    const std::string day = at(book.body, "/items/1/at").substr(0, 10);
    const Got one = house.ask("GET", "/api/v1/ledger-book?account=a-0&from=" + day + "&to=" + day);
    REQUIRE(one.status == 200);
    REQUIRE(one.body.find("100.00") != std::string::npos);
    REQUIRE(house.ask("GET", "/api/v1/ledger-book").status == 400);
    REQUIRE(house.ask("GET", "/api/v1/ledger-book?account=no").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/ledger-book?building=no").status == 404);
    REQUIRE(house.ask("GET", "/api/v1/reports/monthly/2026-11").status == 409);
    const Got monthly = house.ask("GET", "/api/v1/reports/monthly/2026-10");
    REQUIRE(monthly.status == 200);
    REQUIRE(count_items(monthly.body) == 1);
    REQUIRE(at(monthly.body, "/items/0/quantity") == "15.000");
    REQUIRE(at(monthly.body, "/items/0/old_final") == "110.000");
    REQUIRE(at(monthly.body, "/items/0/new_opening") == "0.000");
    REQUIRE(at(monthly.body, "/items/0/register_use") == "15.000");
    REQUIRE(at(monthly.body, "/items/0/band_1") == "(absent)");
    REQUIRE(at(monthly.body, "/items/0/band_2") == "4.000");
    REQUIRE(at(monthly.body, "/items/0/band_3") == "(absent)");
    REQUIRE(at(monthly.body, "/items/0/band_4") == "9.000");
    REQUIRE(at(monthly.body, "/items/0/note") ==
            "night 2.000; bands of all its meters: charges of a-9");
    const Got sheet = house.ask("GET", "/api/v1/reports/monthly/2026-10.csv?lang=zh-CN");
    CHECK(sheet.body.find(",实际用量,尖用量,峰用量,平用量,谷用量,") != std::string::npos);
    CHECK(sheet.body.find(",15.000,,4.000,,9.000,") != std::string::npos);
    CHECK(sheet.body.find(",night 2.000; 分时用量合计见账户a-9的收费明细,") != std::string::npos);
}

TEST_CASE("while the books have given up their reserve nothing is exported into a file") {
    HttpHouse house;
    house.world().store_ok = false;
    house.world().store_reason = "the disk is full";
    house.show();
    const Got got = house.ask("GET", "/api/v1/meters.xlsx");
    CHECK(got.status == 503);
    CHECK(at(got.body, "/type") == "urn:gatehouse:problem:disk-low");
    CHECK(got.header("Retry-After") == "60");
    // The file of a month is written even as CSV.
    CHECK(house.ask("GET", "/api/v1/periods/2026-10/readings.csv").status == 503);
    CHECK(house.ask("GET", "/api/v1/meters.csv").status == 200);
}

TEST_CASE("a daemon that stops answers a workbook in the making with 503 and when to ask again") {
    HttpHouse house;
    house.many_readings(60'000);
    const std::size_t before = open_descriptors();
    Wire wire(house.socket_path);
    wire.send(request_text("GET", "/api/v1/readings.xlsx", "", ""));
    while (exports_left(house) == 0) ::usleep(1'000);
    house.server->stop();
    const Got got = wire.receive();
    CHECK(got.status == 503);
    CHECK(at(got.body, "/type") == "urn:gatehouse:problem:stopping");
    CHECK(got.header("Retry-After") == "10");
    CHECK(exports_left(house) == 0);
    CHECK(open_descriptors() <= before + 1);
}

TEST_CASE("a workbook that cannot be closed, or is given up, leaves no descriptor behind") {
    Folder folder;
    const std::string scratch = std::filesystem::canonical(folder.file("")).string();
    const std::size_t before = open_descriptors();
    const http::Row row{std::string(200, 'x')};
    for (const bool closes : {true, false}) {
        for (int round = 0; round < 3; ++round) {
            http::Workbook book(scratch + "/no such folder/table", scratch, kOneTable, false);
            for (int i = 0; i < 3'000; ++i) book.row(row);
            CHECK(book.bytes() > 100'000);
            if (closes) CHECK_THROWS_AS(book.finish({}), std::runtime_error);
        }
        CHECK(open_descriptors() == before);
    }
    CHECK(std::filesystem::is_empty(scratch));
}

TEST_CASE("a cell that XML cannot carry is shown with a mark in its place") {
    Folder folder;
    const std::string scratch = std::filesystem::canonical(folder.file("")).string();
    const std::string path = scratch + "/words.xlsx";
    {
        http::Workbook book(path, scratch, kOneTable, false);
        for (const std::string text : {"a\xEF\xBF\xBE"
                                       "b",
                                       "c\xEF\xBF\xBF",
                                       "d\xFF"
                                       "e",
                                       "f\x01"
                                       "g"})
            book.row({text});
        // Cut between two characters: 32,000 bytes are no whole number of these.
        std::string long_text;
        for (int i = 0; i < 12'000; ++i) long_text += "张";
        book.row({long_text});
        book.finish({});
    }
    // A reader of XML that this project did not write.
    const std::string reader =
        "/usr/bin/python3 -c \"import zipfile,sys,xml.dom.minidom as x;z=zipfile.ZipFile('" + path +
        "');d=x.parseString(z.read('xl/worksheets/sheet1.xml'));"
        "t=[n.firstChild.data for n in d.getElementsByTagName('t')];"
        "print([ascii(i) for i in t[1:5]]==[ascii(i) for i in "
        "['a\\ufffdb','c\\ufffd','d\\ufffde','f\\ufffdg']] and len(t[5])==10666)\"";
    std::FILE* pipe = ::popen(reader.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char line[64] = {};
    const char* read = std::fgets(line, sizeof line, pipe);
    ::pclose(pipe);
    REQUIRE(read != nullptr);
    CHECK(std::string(line) == "True\n");
}
