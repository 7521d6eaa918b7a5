// Registry files as bytes: encodings, quoting, limits, and what a spreadsheet does to cells.
#include <iconv.h>

#include "tests/integration/registry/support.hpp"

using namespace gatehouse;
using namespace gatehouse::registry_files;

namespace {

Parsed units(const std::string& bytes) {
    return parse({{"units.csv", bytes}});
}

std::string to_gb18030(std::string text) {
    iconv_t handle = iconv_open("GB18030", "UTF-8");
    std::string out(text.size() * 4, '\0');
    char* from = text.data();
    char* into = out.data();
    std::size_t left = text.size();
    std::size_t room = out.size();
    const auto result = iconv(handle, &from, &left, &into, &room);
    iconv_close(handle);
    REQUIRE(result != static_cast<std::size_t>(-1));
    out.resize(out.size() - room);
    return out;
}

struct Case {
    std::string text;
    int line;
    int column;
    std::string fragment;
};

void check_each(const std::string& file, const std::vector<Case>& cases) {
    for (const auto& c : cases) {
        const auto parsed = parse({{file, c.text}});
        INFO(c.text << "\nexpected " << c.line << ":" << c.column << " " << c.fragment << "\ngot\n"
                    << listed(parsed.problems));
        CHECK(holds(parsed.problems, c.line, c.column, c.fragment));
    }
}

}  // namespace

TEST_CASE("UTF-8 with and without byte-order mark, CRLF, quotes and blank lines say the same") {
    const auto plain = units("unit,label\n1-101,\"a,\"\"b\"\"\"\n1-102,x\n");
    INFO(listed(plain.problems));
    REQUIRE(plain.ok());
    CHECK(plain.registry.units.at(0).label == "a,\"b\"");
    for (const std::string other :
         {"\xEF\xBB\xBFunit,label\r\n1-101,\"a,\"\"b\"\"\"\r\n1-102,x\r\n\r\n,,\r\n\r\n",
          "label,unit\n\"a,\"\"b\"\"\",1-101\n x , 1-102\t",
          "房号,标签\n1-101,\"a,\"\"b\"\"\"\n\n1-102,x",
          "UNIT,Label,\n1-101,\"a,\"\"b\"\"\",\n1-102,x,\n"}) {
        const auto parsed = units(other);
        INFO(other << listed(parsed.problems));
        REQUIRE(parsed.ok());
        CHECK(parsed.registry == plain.registry);
        CHECK(parsed.warnings.empty());
    }
}

TEST_CASE("GB18030 is read and said so") {
    const std::string text = "房号,标签,单元\n1-101,3栋2单元1201,𠮷\n";
    const auto parsed = units(to_gb18030(text));
    INFO(listed(parsed.problems));
    REQUIRE(parsed.ok());
    CHECK(parsed.registry == units(text).registry);
    REQUIRE(parsed.warnings.size() == 1);
    CHECK(parsed.warnings[0].message.find("GB18030") != std::string::npos);
}

TEST_CASE("bytes that are no text are refused with the way out") {
    for (const std::string& bytes : {std::string("PK\x03\x04zzz"), std::string("\xFF\xFEu\0", 4),
                                     std::string("unit\n\xFF\xFF\n")}) {
        const auto parsed = units(bytes);
        REQUIRE(parsed.problems.size() == 1);
        CHECK(parsed.problems[0].message.find("save it as CSV UTF-8") != std::string::npos);
    }
}

TEST_CASE("broken lines are named at their cell, in characters") {
    check_each("units.csv",
               {
                   {"", 0, 0, "the file is empty"},
                   {"\n\n", 0, 0, "the file is empty"},
                   {"label\nx\n", 1, 1, "column 'unit' is missing"},
                   {"unit,lable\n1,x\n", 1, 6, "did you mean 'label'?"},
                   {"unit,楼东\n1,x\n", 1, 6, "unknown column '楼东'"},
                   {"unit;label\n1;x\n", 1, 1, "separated by commas"},
                   {"unit,房号\n1,x\n", 1, 6, "stands twice"},
                   {"unit,label\n1-1\n", 2, 1, "has 1 cells, but 2 columns"},
                   {"unit\n1-1,x\n", 2, 5, "under no column name"},
                   {"unit,label\n1-1,楼\"x\n", 2, 6, "a quote inside a cell"},
                   {"unit,label\n1-1,\"x\n", 2, 5, "that nothing closes"},
                   {"unit,label\n1-1,\"x\"y\n", 2, 8, "after the closing quote"},
                   {"unit,label\n1-1,\"a\nb\"\n", 2, 5, "line break"},
                   {"unit,label\n1-1,a\xEF\xBF\xBE\n", 2, 5, "cannot be printed"},
                   {"unit,label\n,x\n", 2, 1, "'unit' must not be empty"},
                   {"label,unit\n标签标签,一\n", 2, 6, "no identifier"},
                   {"unit\n1-1\n1-2\n1-1\n", 4, 1, "stands twice; it is already in line 2"},
               });
}

TEST_CASE("what a spreadsheet has damaged is refused with its cell") {
    for (const std::string cell : {"2.02E+11", "2.02211E+11", "2E+5", "2012/1/15", "1/2", "1月2日",
                                   "2012年1月15日", "Jan-15", "15-Jan", "2-jan-12", "2026-03-02",
                                   "2026-3-2", "2026-03-02 00:00:00", "1900-1-31", "2099-12-1"}) {
        INFO(cell);
        CHECK(holds(units("unit\n" + cell + "\n").problems, 2, 1, "spreadsheet"));
        CHECK(holds(units("label,unit\n楼," + cell + "\n").problems, 2, 3, "spreadsheet"));
        CHECK(holds(units("unit,label\n1-1," + cell + "\n").problems, 2, 5, "spreadsheet"));
        CHECK(
            holds(parse({{"meters.csv", "meter,service,serial\nm,water," + cell + "\n"}}).problems,
                  2, 9, "spreadsheet"));
        CHECK(holds(
            parse({{"pools.csv",
                    "pool,service,share,tariff,main,members\np,water,area,t,m,1-1;" + cell + "\n"}})
                .problems,
            2, 18, "spreadsheet"));
    }
    CHECK(units("unit,label\n3-2-1201,3栋2单元1201\n12E1,may-be\n").ok());
    // No day that there is, or none that a spreadsheet of today would make of a room.
    CHECK(units("unit,label\n3-2-1202,2026-13-02\n2026-2-30,2026-31-4\n1899-1-1,2100-1-1\n"
                "2026-03-02-1,2026-03-02-01\n202-6-3,26-03-02\n")
              .ok());
}

TEST_CASE("cells of every kind are judged") {
    check_each("units.csv", {
                                {"unit,use\n1,house\n", 2, 3, "must be one of home, shop, common"},
                                {"unit,use\n1,hom\n", 2, 3, "did you mean 'home'?"},
                                {"unit,area\n1,12.345\n", 2, 3, "at most 2 places"},
                                {"unit,area\n1,-1\n", 2, 3, "must be from 0.00"},
                                {"unit,persons\n1,1.0\n", 2, 3, "whole number from 0 to 99"},
                                {"unit,persons\n1,100\n", 2, 3, "whole number from 0 to 99"},
                                {"unit,status\n1,empty\n", 2, 3, "must be one of not_delivered"},
                            });
    check_each("people.csv",
               {
                   {"person,kind,name\np,tennant,x\n", 2, 3, "did you mean 'tenant'?"},
                   {"person,kind,name,valid_from\np,owner,x,2026-02-30\n", 2, 11, "is no date"},
                   {"person,kind,name,valid_from,valid_to\np,owner,x,2026-02-01,2026-01-01\n", 2,
                    22, "lies before"},
               });
    check_each(
        "meters.csv",
        {
            {"meter,service\nm,gas\n", 2, 3, "must be one of electricity, water"},
            {"meter,service,bus,address\nm,water,b,0\n", 2, 11, "from 1 to 247"},
            {"meter,service,bus,address\nm,water,b,248\n", 2, 11, "from 1 to 247"},
            {"meter,service,bus\nm,water,b1\n", 2, 9, "bus and address together"},
            {"meter,service,address\nm,water,1\n", 2, 9, "bus and address together"},
            {"meter,service,channel\nm,water,1\n", 2, 9, "has a channel but no bus"},
            {"meter,service,multiplier\nm,water,0\n", 2, 9, "must be above 0"},
            {"meter,service,multiplier\nm,water,1e3\n", 2, 9, "plain decimal"},
            {"meter,service,opening_register\nm,water,-1\n", 2, 9, "not be negative"},
            {"meter,service,opening_at\nm,water,2026-01-01\n", 2, 9, "no opening_register"},
            {"meter,service,opening_register,opening_at\nm,water,1,1.1.2026\n", 2, 11,
             "is no time"},
            {"meter,service,rated_amps\nm,electricity,10000001\n", 2, 15, "at most 10000000"},
            {"meter,service,rated_amps\nm,water,5\n", 2, 9, "rated_flow"},
            {"meter,service,parent\nm,water,m\n", 2, 9, "itself"},
        });
    check_each(
        "accounts.csv",
        {
            {"account,service,tariff\na,water,\n", 2, 9, "'tariff' must not be empty"},
            {"account,service,tariff\na,all,x;;y\n", 2, 7, "an empty item"},
            {"account,service,tariff,low_balance\na,water,t,-1\n", 2, 11, "must be from 0.00"},
            {"account,service,tariff,low_balance\na,water,t,1.005\n", 2, 11, "at most 2 places"},
            {"account,service,tariff,chase\na,water,t,maybe\n", 2, 11, "yes or no"},
            {"account,service,tariff,live_from\na,water,t,soon\n", 2, 11, "is no date"},
            {"account,service,tariff,low_balance,critical_balance\na,water,t,1,2\n", 2, 13,
             "above low_balance"},
            {"account,service,tariff,billing,opening_balance\na,water,t,internal,2\n", 2, 20,
             "only prepaid"},
            {"account,service,tariff,opening_ladder\na,water,t,1.0001\n", 2, 11, "3 places"},
        });
    check_each("staff.csv", {
                                {"staff,name,roles\ns,x,boss\n", 2, 5, "must be one of desk"},
                                {"staff,name,roles\ns,x,desk;desk\n", 2, 5, "stands twice"},
                                {"staff,name,roles,cards\ns,x,desk,123\n", 2, 10, "format:value"},
                                {"staff,name,roles,cards\ns,x,desk,hmac256:12\n", 2, 10, "64"},
                            });
    check_each("keys.csv", {
                               {"key,class\nk,shared\n", 2, 3, "must be one of entrusted"},
                               {"key,class,max_hold\nk,master,8\n", 2, 10, "duration"},
                               {"key,class,curfew\nk,master,25:00\n", 2, 10, "time of the day"},
                               {"key,class,slot\nk,master,1\n", 2, 10, "no cabinet"},
                           });
    check_each("calendar.csv",
               {{"date,kind\n2026-01-01,free\n", 2, 12, "holiday, workday"},
                {"date,kind\n2026-01-01,holiday\n2026/1/1,workday\n", 3, 1, "stands twice"}});
}

TEST_CASE("decimals are kept without needless zeros") {
    for (const auto& [given, kept] : std::vector<std::pair<std::string, std::string>>{
             {"1.0", "1"}, {"0120", "120"}, {"0.010", "0.01"}, {"100", "100"}, {"00.5", "0.5"}}) {
        const auto parsed =
            parse({{"meters.csv", "meter,service,multiplier\nm,water," + given + "\n"}});
        INFO(given << listed(parsed.problems));
        REQUIRE(parsed.ok());
        CHECK(parsed.registry.meters.at(0).multiplier == kept);
    }
    const auto zero = parse({{"meters.csv", "meter,service,offset\nm,water,-0.0\n"}});
    REQUIRE(zero.ok());
    CHECK(zero.registry.meters.at(0).offset == "0");
}

TEST_CASE("every limit is met and held") {
    const std::string row(kCellBytesMax, 'a');
    CHECK(holds(units("unit,care\n1,\"" + row + "a\"\n").problems, 2, 3, "at most 1024"));
    CHECK(
        holds(units("unit,care\n1," + std::string(129, 'a') + "\n").problems, 2, 3, "at most 128"));
    CHECK(units("unit,care\n1," + std::string(128, 'a') + "\n").ok());
    CHECK(holds(units("unit\n" + std::string(65, 'a') + "\n").problems, 2, 1, "1 to 64"));
    CHECK(units("unit\n" + std::string(64, 'a') + "\n").ok());

    std::string many = "unit\n";
    for (std::size_t i = 0; i < kRowsMax; ++i) {
        many += std::to_string(i) + "\n";
    }
    CHECK(units(many).ok());
    CHECK(holds(units(many + "x\n").problems, static_cast<int>(kRowsMax) + 2, 1, "20000 rows"));

    CHECK(units(std::string(kFileBytesMax + 1, '\n')).problems.at(0).message.find("bytes") !=
          std::string::npos);
    CHECK(holds(units("unit" + std::string(kColumnsMax, ',') + "\n").problems, 1, 69,
                "more than 64 cells"));

    std::string list;
    for (std::size_t i = 0; i <= kListMax; ++i) {
        list += ";" + std::to_string(i);
    }
    CHECK(!parse({{"keys.csv", "key,class,opens\nk,master," + list.substr(1) + "\n"}}).ok());

    std::string wrong = "unit,use\n";
    for (std::size_t i = 0; i < kProblemsMax + 5; ++i) {
        wrong += std::to_string(i) + ",x\n";
    }
    const auto parsed = units(wrong);
    CHECK(parsed.problems.size() == kProblemsMax + 1);
    CHECK(parsed.problems.back().message == "and 5 more problems");

    Files folder;
    for (std::size_t i = 0; i <= kFilesMax; ++i) {
        folder.emplace_back("tariffs/t" + std::to_string(i) + ".toml", "");
    }
    CHECK(parse(folder).problems.size() == 1);
}

TEST_CASE("a file of no known name is refused, not left unread") {
    const auto parsed = parse({{"unit.csv", "unit\n1\n"}, {"units.csv", "unit\n1\n"}});
    REQUIRE(parsed.problems.size() == 1);
    CHECK(parsed.problems[0].message.find("did you mean 'units.csv'?") != std::string::npos);
    CHECK_FALSE(parse({{"tariffs/a/b.toml", ""}}).ok());
    CHECK_FALSE(parse({{"units.csv", "unit\n1\n"}, {"units.csv", "unit\n1\n"}}).ok());
}

TEST_CASE("every column has a Chinese name, and no name means two columns of one file") {
    for (const auto& file : file_columns()) {
        std::set<std::string> seen;
        for (const auto& column : file.columns) {
            INFO(file.file << " " << column.name);
            CHECK_FALSE(column.aliases.empty());
            CHECK(seen.emplace(column.name).second);
            for (const auto alias : column.aliases) {
                INFO(alias);
                CHECK(seen.emplace(alias).second);
            }
        }
    }
}
