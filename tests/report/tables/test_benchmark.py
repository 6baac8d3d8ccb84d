from ikpaper.report.tables import benchmark


def test_the_flow_of_the_rail_is_told():
    assert benchmark.rail_flow({"num_parameters": 102_149, "seconds": 468.0}) == (
        "The flow has 102,149 parameters and was trained in 7.8 minutes."
    )
