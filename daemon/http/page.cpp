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
    "thead{display:table-header-group}tr{break-inside:avoid}"
    ".sign{display:flex;justify-content:space-between;margin-top:3em}@page{size:A4;margin:15mm}"
    "@media print{body{margin:0;max-width:none}}";

}  // namespace

Page::Page(bool chinese, std::string_view site_name, std::string_view title) : chinese_(chinese) {
    const std::string name = escaped(title);
    text_ = "<!doctype html><html lang=\"";
    text_ += chinese ? "zh-CN" : "en";
    text_ += "\"><head><meta charset=\"utf-8\"><title>" + name + "</title><style>";
    text_ += kStyle;
    text_ += "</style></head><body><p>" + escaped(site_name) + "</p><h1>" + name + "</h1>";
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
        text_ += column.number ? "<th class=\"n\">" : "<th>";
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
