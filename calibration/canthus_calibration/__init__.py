"""INT8 for MCO-E Net: ranges from SEE's four lightings, and what INT8 costs in each of them."""
