// What the registry tests share: a small whole house as files, and finding a problem in a list.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "daemon/engine/registry_files.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::registry_files {

inline std::string listed(const std::vector<Problem>& problems) {
    std::string out;
    for (const auto& problem : problems) {
        out += gatehouse::to_string(problem) + "\n";
    }
    return out;
}

inline bool holds(const std::vector<Problem>& problems, int line, int column,
                  const std::string& fragment) {
    return std::any_of(problems.begin(), problems.end(), [&](const Problem& problem) {
        return problem.line == line && problem.column == column &&
               problem.message.find(fragment) != std::string::npos;
    });
}

inline std::string flat_tariff(const std::string& id, const std::string& service,
                               const std::string& more = "") {
    return "[[tariff]]\nid = \"" + id + "\"\nservice = \"" + service + "\"\nsource = \"a test\"\n" +
           more +
           "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"none\"\n"
           "tiers = [ { price = \"0.5\" } ]\n";
}

// Two homes and a shop, four meters of which one is read by eye, three accounts.
inline std::map<std::string, std::string> house() {
    return {
        {"units.csv",
         "unit,label,use,area,persons,collector\n"
         "1-101,1栋101,home,89.37,3,s-01\n"
         "1-102,1栋102,home,120,,\n"
         "s-1,门面1,shop,,,\n"},
        {"people.csv",
         "person,kind,name,unit,valid_from,valid_to\n"
         "p-1,owner,张三,1-101,2025-01-01,\n"},
        {"meters.csv",
         "meter,unit,service,bus,address,channel,profile,multiplier,opening_register,opening_at\n"
         "e-101,1-101,electricity,b1,1,,eastron-sdm120,1,4318.20,2026-01-01\n"
         "w-101,1-101,water,b1,2,1,wirenboard-mwac2,0.01,,\n"
         "e-102,1-102,electricity,b1,3,,eastron-sdm120,1,,\n"
         "e-s1,s-1,electricity,,,,,120,,\n"},
        {"accounts.csv",
         "account,unit,service,tariff,holder,opening_balance,opening_ladder\n"
         "a-101,1-101,all,home-power;home-water,p-1,-3.27,10.5;2\n"
         "a-102,1-102,electricity,home-power,,,\n"
         "a-s1,s-1,electricity,shop-power,,,\n"},
        {"tariffs/home-power.toml",
         flat_tariff("home-power", "electricity", "uses = [\"home\"]\n")},
        {"tariffs/home-water.toml", flat_tariff("home-water", "water")},
        {"tariffs/shop-power.toml", flat_tariff("shop-power", "electricity")},
        {"pools.csv",
         "pool,service,main,subs,share,members,tariff\n"
         "lift,electricity,e-101,e-102,area,1-101;1-102,home-power\n"},
        {"calendar.csv", "date,kind,name\n2026-01-01,holiday,元旦\n"},
        {"staff.csv", "staff,name,roles,cards\ns-01,李四,collector;desk,wiegand26:0012345\n"},
        {"keys.csv",
         "key,class,cabinet,slot,opens,max_hold,curfew\nk-1,entrusted,kc-01,1,1-101,8h,18:00\n"},
    };
}

inline Files files_of(const std::map<std::string, std::string>& folder) {
    return {folder.begin(), folder.end()};
}

inline Known known() {
    Known out;
    out.buses = {"b1", "b2"};
    out.cabinets = {"kc-01"};
    out.profiles = {"eastron-sdm120", "wirenboard-mwac2"};
    return out;
}

// All problems of a whole folder: of its cells, and where those are sound of its rows together.
inline std::vector<Problem> problems_of(const std::map<std::string, std::string>& folder) {
    const auto parsed = parse(files_of(folder));
    if (!parsed.ok()) {
        return parsed.problems;
    }
    return check(merge({}, parsed).registry, known(), parsed.places).problems;
}

}  // namespace gatehouse::registry_files
