// Rooms, keys and tickets as tables: their columns.
#include <algorithm>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "daemon/http/exports.hpp"

namespace gatehouse::http {
namespace {

using Word = std::pair<std::string_view, std::string_view>;

constexpr Word kUnitStates[] = {
    {"not_delivered", "未交付"}, {"vacant", "空置"}, {"fitting_out", "装修"},
    {"occupied", "自住"},        {"let", "出租"},    {"away", "外出"}};
const Column kUnitColumns[] = {
    {"unit", "房号"},
    {"label", "房屋"},
    {"building", "楼栋"},
    {"entrance", "单元"},
    {"floor", "楼层"},
    {"use", "用途", Cell::word, kUseWords},
    {"status", "状态", Cell::word, kUnitStates},
    {"area", "面积", Cell::number},
    {"persons", "人数", Cell::count},
    {"walk_order", "走访顺序", Cell::count},
    {"collector", "管片人员"},
    {"contact", "联系方式"},
};
constexpr Word kSeals[] = {{"intact", "完好"}, {"broken", "已启封"}};
const Column kKeyColumns[] = {
    {"key", "钥匙编号"},
    {"label", "名称"},
    {"class", "类别", Cell::word, kKeyClassWords},
    {"state", "状态", Cell::word, kKeyPlaceWords},
    {"cabinet", "钥匙柜"},
    {"slot", "位号"},
    {"place", "存放处"},
    {"set", "套"},
    {"count", "数量", Cell::count},
    {"opens", "房号/部位"},
    {"since", "状态起始", Cell::time},
    {"person", "持有人"},
    {"ticket", "派工单号"},
    {"due_at", "应还时间", Cell::time},
    {"seal.no", "封条号"},
    {"seal.state", "封条状态", Cell::word, kSeals},
};
const Column kTicketColumns[] = {
    {"number", "派工单号"},
    {"kind", "类型", Cell::word, kTicketKindWords},
    {"state", "状态", Cell::word, kTicketStateWords},
    {"urgency", "紧急程度", Cell::word, kUrgencyWords},
    {"category", "类别"},
    {"unit", "房号"},
    {"unit_label", "房屋"},
    {"place", "部位"},
    {"text", "报修内容"},
    {"channel", "报修方式", Cell::word, kChannelWords},
    {"external_no", "外部单号"},
    {"by", "接单记录人"},
    {"crew", "维修人"},
    {"reported_at", "报修时间", Cell::time},
    {"dispatched_at", "派单时间", Cell::time},
    {"started_at", "到场时间", Cell::time},
    {"done_at", "完工时间", Cell::time},
    {"visited_at", "回访时间", Cell::time},
    {"closed_at", "关单时间", Cell::time},
    {"done_by", "完工时限", Cell::time},
    {"result", "处理结果"},
    {"rating", "满意度", Cell::word, kRatingWords},
    {"agreed_price", "约定费用", Cell::money},
    {"material", "材料费", Cell::money},
    {"labour", "人工费", Cell::money},
    {"pay_method", "付款方式", Cell::word, kMethodWords},
    {"receipt", "收据号"},
    {"reopened", "返修", Cell::count},
};
constexpr std::size_t kKeyOpens = 9;  // of kKeyColumns

// People read which doors a key opens, not their ids.
class LabelledKeys final : public RowSource {
  public:
    LabelledKeys(const Call& call, std::unique_ptr<RowSource> rows) : rows_(std::move(rows)) {
        for (const Unit& unit : call.snapshot->registry->units)
            if (!unit.label.empty()) labels_[unit.unit] = unit.label;
    }
    bool next(Row& row) override {
        if (!rows_->next(row)) return false;
        std::string named;
        for (std::size_t at = 0; at < row[kKeyOpens].size();) {
            const std::size_t end = std::min(row[kKeyOpens].find(';', at), row[kKeyOpens].size());
            const std::string id = row[kKeyOpens].substr(at, end - at);
            const auto label = labels_.find(id);
            named += (named.empty() ? "" : ", ") + (label == labels_.end() ? id : label->second);
            at = end + 1;
        }
        row[kKeyOpens] = std::move(named);
        return true;
    }

  private:
    std::unique_ptr<RowSource> rows_;
    std::unordered_map<std::string, std::string> labels_;
};

const TableSpec kUnits{"units", "房屋", kUnitColumns};
const TableSpec kKeys{"keys", "钥匙保管清单", kKeyColumns};
const TableSpec kTickets{"tickets", "派工单", kTicketColumns};

}  // namespace

Response table_units(Call& call) {
    return table_response(call, kUnits, list_source(call, get_units, kUnits));
}

Response table_keys(Call& call) {
    return table_response(call, kKeys,
                          std::make_unique<LabelledKeys>(call, list_source(call, get_keys, kKeys)));
}

Response table_tickets(Call& call) {
    return table_response(call, kTickets, list_source(call, get_tickets, kTickets));
}

}  // namespace gatehouse::http
