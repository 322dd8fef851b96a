// From the arrays that a caller brings to an operator's inputs, with one message for every face.
#pragma once
#include <array>
#include <span>

#include "head/head.h"
#include "shape.h"

namespace canthus::head {

enum class Type { float32, int8, other };

struct Argument {
  Shape shape;
  Type type = Type::other;
  const void* data = nullptr;
};

// The names of the arguments, in their order.
inline constexpr std::array mco_mamba_names{"x", "in_proj", "conv_weight", "conv_bias", "projection",
                                            "A", "D",       "delta_bias",  "out_proj"};
inline constexpr std::array mcib_names{"x",        "projection",    "projection_bias", "out_weight",
                                       "out_bias", "fusion_weight", "fusion_scale",    "fusion_bias"};
inline constexpr std::array routed_experts_names{
    "x",           "linear_weight",    "linear_scale",   "linear_bias",  "norm_scale",
    "norm_shift",  "router_weight",    "router_scale",   "router_bias",  "choice_weight",
    "choice_bias", "attention_weight", "attention_bias", "focal_weight", "focal_bias"};

// All throw std::invalid_argument, naming the argument, what it is and what it must be.
McoMamba mco_mamba(std::span<const Argument, mco_mamba_names.size()>);
Mcib mcib(std::span<const Argument, mcib_names.size()>);
RoutedExperts routed_experts(std::span<const Argument, routed_experts_names.size()>);

}  // namespace canthus::head
