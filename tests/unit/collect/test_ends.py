"""What an answer says of rows that are not in it, in the ways of the APIs that there are."""

from typing import Any

import pytest

from nightshift.collect.ends import follows, totals

FOLLOWED: list[tuple[dict[str, str], Any, str | None, str]] = [
    (
        {"link": '<https://h/a?page=2>; rel="next", <https://h/a?page=9>; rel="last"'},
        [],
        None,
        "page=2' (Link)",
    ),
    (
        {"link": "<https://h/a?page=1>; rel=prev, </a?page=3>; title=x; rel=next"},
        [],
        None,
        "'/a?page=3' (Link)",
    ),
    ({"link": '</a?page=3>; rel="last next"'}, [], None, "'/a?page=3' (Link)"),
    ({}, {"next": "/b"}, None, "next page, '/b'"),
    ({}, {"nextPageToken": "abc"}, "items", "'abc' ('nextPageToken')"),
    ({}, {"@odata.nextLink": "https://h/a?$skip=9"}, "value", "@odata.nextLink"),
    ({}, {"d": {"results": [], "__next": "https://h"}}, "d.results", "'d.__next'"),
    ({}, {"next_page": 2}, "items", "next page, 2"),
    ({}, {"data": [], "has_more": True}, "data", "'has_more': true"),
    ({}, {"done": False, "records": []}, "records", "'done': false"),
    ({}, {"content": [], "last": False, "totalPages": 25}, "content", "'last': false"),
    ({}, {"items": [], "total_pages": "3"}, "items", "'total_pages': 3"),
    ({}, {"features": [], "exceededTransferLimit": True}, "features", "exceededTransferLimit"),
    (
        {},
        {"_links": {"self": {"href": "/a"}, "next": {"href": "/b"}}},
        "_embedded.items",
        "'/b' ('_links.next')",
    ),
    (
        {},
        {"links": [{"rel": "self", "href": "/a"}, {"rel": "next", "href": "/b"}]},
        "features",
        "'links.next'",
    ),
    ({}, {"link": [{"relation": "next", "url": "/b"}]}, "entry", "'/b' ('link.next')"),
    (
        {},
        {"data": {"users": {"nodes": [], "pageInfo": {"hasNextPage": True}}}},
        "data.users.nodes",
        "hasNextPage",
    ),
    ({}, {"meta": {"next": "b"}}, "items", "'meta.next'"),
]


@pytest.mark.parametrize(("headers", "said", "records_key", "words"), FOLLOWED)
def test_what_says_that_others_follow_is_heard(headers, said, records_key, words):
    assert words in (follows(headers, said, records_key) or "")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"link": '</a?page=1>; rel="prev", </style.css>; rel="stylesheet"'}, []),
        ({}, {"next": None, "nextPageToken": "", "has_more": False, "last": True, "done": True}),
        ({}, {"next": False, "total_pages": 1, "last_page": 1, "pages": ["a", "b"], "more": "words"}),
        ({}, {"_links": {"self": {"href": "/a"}, "next": {"href": None}, "last": {"href": "/a"}}}),
        ({}, {"links": [{"rel": "self", "href": "/a"}, "next", {"rel": 7}]}),
        ({}, {"items": [{"next": "/b", "has_more": True}]}),
        ({}, [{"next": "/b"}]),
        ({}, None),
    ],
)
def test_the_last_answer_is_not_followed(headers, said):
    assert follows(headers, said, "items") is None


@pytest.mark.parametrize(
    ("headers", "said", "records_key", "found"),
    [
        ({"x-total-count": "50"}, [], None, {"X-Total-Count": 50}),
        ({"content-range": "0-9/50"}, [], None, {"Content-Range": 50}),
        ({"content-range": "items 0-9/50"}, [], None, {"Content-Range": 50}),
        ({"content-range": "bytes 0-9/50", "x-total-count": "many"}, [], None, {}),
        ({"content-range": "0-9/*"}, [], None, {}),
        ({}, {"total": "50", "count": True, "total_count": None}, None, {"total": 50}),
        (
            {},
            {"hits": {"total": {"value": 50, "relation": "eq"}, "hits": []}},
            "hits.hits",
            {"hits.total": 50},
        ),
        ({}, {"response": {"numFound": 50, "docs": []}}, "response.docs", {"response.numFound": 50}),
        ({}, {"page": {"size": 20, "totalElements": 50}}, "items", {"page.totalElements": 50}),
        ({}, {"meta": {"total": 50}, "items": [{"total": 7}]}, "items", {"meta.total": 50}),
        ({}, {"total": "9" * 5000}, None, {}),
    ],
)
def test_the_number_of_all_rows_is_found_wherever_it_stands(headers, said, records_key, found):
    assert totals(headers, said, records_key) == found
