"""Every page about people, put together for create_app()."""

from fastapi import APIRouter

from app.accounts import (
    activity_routes,
    code_routes,
    entrance_routes,
    factor_routes,
    people_routes,
    person_routes,
    reset_routes,
    security_routes,
    step_up_routes,
)

router = APIRouter()
router.include_router(entrance_routes.router)
router.include_router(code_routes.router)
router.include_router(security_routes.router)
router.include_router(step_up_routes.router)
router.include_router(factor_routes.router)
router.include_router(people_routes.router)
router.include_router(person_routes.router)
router.include_router(reset_routes.router)
router.include_router(activity_routes.router)
