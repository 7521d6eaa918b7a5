#include "daemon/http/page.hpp"

namespace gatehouse::http {

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

constexpr const char* kStyle =
    "body{font:14px sans-serif;max-width:52em;margin:2em auto}h1{font-size:1.3em;"
    "text-align:center}h2{font-size:1.1em;margin:1.5em 0 .3em}"
    "table{width:100%;border-collapse:collapse;margin:.5em 0}"
    "th{text-align:left;font-weight:normal}.facts th{width:9em}.list th{border-bottom:2px solid "
    "#333}td,th{border-bottom:1px solid #999;padding:.3em;vertical-align:top}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}tfoot td{border-top:2px solid #333}"
    "thead{display:table-header-group}tfoot{display:table-row-group}tr{break-inside:avoid}"
    ".s{min-width:26mm}.next{break-before:page}"
    ".sign{display:flex;justify-content:space-between;margin-top:3em}.sign span{min-width:26mm}"
    "@media print{body{margin:0;max-width:none}}";

const char* style_of(Paper paper) {
    switch (paper) {
        case Paper::a4:
            return "@page{size:A4;margin:15mm}";
        case Paper::a4_landscape:
            return "@page{size:A4 landscape;margin:10mm}body{max-width:none;font-size:10px}"
                   "td,th{padding:.2em}.list tbody td{height:6mm}.list th{font-size:9px}";
        case Paper::a5:
            break;
    }
    return "@page{size:A5;margin:10mm}body{font-size:12px}h1{margin:.2em}td,th{padding:.2em}"
           ".facts th{width:7em}";
}

}  // namespace

Page::Page(bool chinese, std::string_view site_name, std::string_view title, Paper paper)
    : chinese_(chinese), site_(escaped(site_name)) {
    text_ = "<!doctype html><html lang=\"";
    text_ += chinese ? "zh-CN" : "en";
    text_ += "\"><head><meta charset=\"utf-8\"><title>" + escaped(title) + "</title><style>";
    text_ += kStyle;
    text_ += style_of(paper);
    text_ += "</style></head><body><p>" + site_ + "</p>";
    head(title);
}

void Page::head(std::string_view title) {
    text_ += "<h1>" + escaped(title) + "</h1>";
}

void Page::next_sheet(std::string_view title) {
    text_ += "<p class=\"next\">" + site_ + "</p>";
    head(title);
}

void Page::heading(std::string_view text) {
    text_ += "<h2>" + escaped(text) + "</h2>";
}

void Page::paragraph(std::string_view text) {
    text_ += "<p>" + escaped(text) + "</p>";
}

void Page::facts(const std::vector<std::pair<Words, std::string>>& rows) {
    text_ += "<table class=\"facts\">";
    for (const auto& [name, value] : rows) {
        if (value.empty()) continue;
        text_ += "<tr><th>" + escaped(word(name)) + "</th><td>" + escaped(value) + "</td></tr>";
    }
    text_ += "</table>";
}

void Page::table(const std::vector<Column>& columns,
                 const std::vector<std::vector<std::string>>& rows,
                 const std::vector<std::string>& sums) {
    const auto cells = [&](const std::vector<std::string>& row) {
        text_ += "<tr>";
        for (std::size_t i = 0; i < columns.size(); ++i) {
            text_ += columns[i].number ? "<td class=\"n\">" : "<td>";
            if (i < row.size()) text_ += escaped(row[i]);
            text_ += "</td>";
        }
        text_ += "</tr>";
    };
    text_ += "<table class=\"list\"><thead><tr>";
    for (const Column& column : columns) {
        text_ += column.sign ? "<th class=\"s\">" : column.number ? "<th class=\"n\">" : "<th>";
        text_ += escaped(word(column.heading)) + "</th>";
    }
    text_ += "</tr></thead><tbody>";
    for (const auto& row : rows) cells(row);
    text_ += "</tbody>";
    if (!sums.empty()) {
        text_ += "<tfoot>";
        cells(sums);
        text_ += "</tfoot>";
    }
    text_ += "</table>";
}

void Page::signatures(const std::vector<Words>& names) {
    text_ += "<div class=\"sign\">";
    for (const Words& name : names) text_ += "<span>" + escaped(word(name)) + "</span>";
    text_ += "</div>";
}

std::string Page::take() {
    text_ += "</body></html>\n";
    return std::move(text_);
}

}  // namespace gatehouse::http
